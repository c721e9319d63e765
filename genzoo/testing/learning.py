"""Checks of training: losses, players, micro-batches, processes, interruptions."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from genzoo import registry
from genzoo.errors import GenzooError
from genzoo.model_files import CHECKPOINTS
from genzoo.objective import Loss, Objective, Step
from genzoo.pretrained import GenerativeModel
from genzoo.stage import Stage
from genzoo.storage import FolderSource, OwnModel
from genzoo.testing.cases import (
    SEED,
    Case,
    CheckFailed,
    ExampleData,
    NotApplicable,
    demand,
    demand_equal,
    seeded,
)
from genzoo.testing.refusals import outside
from genzoo.testing.training_harness import Recorder, gradients_of, shared, updated
from genzoo.testing.two_process_sim import two_processes
from genzoo.training import Trainer, TrainerConfig
from genzoo.training.accelerating import accelerating
from genzoo.training.stage_scope import only_part
from genzoo.values import trusted


def check_losses_move_their_player(case: Case) -> None:
    """Each loss changes only its player's parameters; all get a gradient."""
    for stage in case.stages():
        model = case.model().train()
        objective = case.objective(stage, model).train()
        with (
            only_part(objective.model, stage.part),
            accelerating(TrainerConfig(), None) as accelerator,
        ):
            recorder = Recorder(objective, stage.objective.name, accelerator)
            for index in range(2):
                recorder.run(shared(case, stage, 1), index)
            silent = sorted(set(objective.players()) - recorder.moved)
        demand(not silent, f"{stage.objective.name}: the players {silent} never move.")


def check_loss_is_a_mean(case: Case) -> None:
    """A loss is a finite scalar with a gradient; its metrics are detached scalars."""
    for stage in case.stages():
        model = case.model()
        objective = case.objective(stage, model)
        step = Step(0, 10, 0, torch.Generator().manual_seed(SEED))
        with only_part(objective.model, stage.part), seeded(SEED), trusted():
            for loss in objective.losses(shared(case, stage, 1)[0], step):
                named = f"{stage.objective.name} yields a {type(loss).__name__}"
                demand(isinstance(loss, Loss), f"{named} instead of a Loss: yield Loss(value).")
                _check_loss(loss, objective, f"{stage.objective.name}, player {loss.player!r}")


def _check_loss(loss: Loss, objective: Objective, where: str) -> None:
    demand(loss.value.shape == (), f"{where}: the loss has shape {tuple(loss.value.shape)}.")
    demand(bool(torch.isfinite(loss.value)), f"{where}: the loss is {loss.value}.")
    for key, value in loss.metrics.items():
        scalar = value.numel() == 1 and not value.requires_grad
        demand(scalar, f"{where}: the metric {key!r} is not a detached scalar.")
    parameters = objective.players()[loss.player]
    for parameter, gradient in zip(parameters, gradients_of(loss, parameters), strict=True):
        demand(
            gradient.shape == parameter.shape and not gradient.requires_grad,
            f"{where}: for a parameter of shape {tuple(parameter.shape)} a gradient of shape "
            f"{tuple(gradient.shape)} is given, or one that is not detached.",
        )


def check_accumulation(case: Case) -> None:
    """An update of two micro-batches is the mean of the updates of each."""
    for stage in case.stages():
        whole = updated(case, stage, slots=2, steps=1)
        alone = two_processes(case, stage, steps=1)[0]
        _demand_close(whole, alone, f"{stage.objective.name}: two micro-batches in one update")


def check_processes(case: Case) -> None:
    """Two processes give the same model, equal to that of one with two micro-batches.

    They are simulated in this process: each has a copy of the objective, and gradients are
    averaged. Buffers are left out, and so are objectives with buffers that do not belong to a
    slot.
    """
    for stage in case.stages():
        first, second = two_processes(case, stage, steps=2)
        if first.process_state().keys() & second.process_state().keys():
            continue
        where = stage.objective.name
        _demand_close(first, second, f"{where}: the two processes")
        one = updated(case, stage, slots=2, steps=2)
        _demand_close(one, first, f"{where}: two processes and two micro-batches")


def _demand_close(a: Objective, b: Objective, what: str) -> None:
    pairs = zip(a.named_parameters(), b.parameters(), strict=True)
    # Up to the order of summation in float32.
    apart = [n for (n, p), q in pairs if not torch.allclose(p, q, rtol=1e-4, atol=1e-6)]
    demand(
        not apart,
        f"{what} give other values of {', '.join(apart[:3])}: state that lives from one loss to "
        "the next must go by step.slot (set_process_buffer), or not depend on the rows.",
    )


def check_resume_is_exact(case: Case) -> None:
    """Training that is interrupted at a checkpoint and resumed gives the bit-equal model."""
    for stage in case.stages():
        with tempfile.TemporaryDirectory() as folder:
            straight = _train(case, stage, Path(folder, "straight"), steps=6)
            _train(case, stage, Path(folder, "stopped"), steps=6, stop_after=4)
            resumed = _train(case, stage, Path(folder, "stopped"), steps=6, resume=True)
        demand_equal(
            straight.state_dict(), resumed.state_dict(), f"after resuming {stage.objective.name}"
        )


def check_conditions_in_training(case: Case) -> None:
    """Training refuses conditions outside of the model's spaces, also if the data allow them."""
    model, info = case.model(), case.data().info
    looked = 0
    for stage in case.stages():
        reads = registry.load("objectives", stage.objective.name).reads
        known = {name: (info[name], True) for name in reads if name in info}
        known |= {name: (space, model.takes_null) for name, space in model.conditions.items()}
        for name, (space, nullable) in known.items():
            for value, rows in outside(space, case.batch()[name]):
                looked += 1
                taken = nullable and bool(space.is_null(rows)[-1])
                _check_in_training(case, stage, {name: rows}, value, taken=taken)
    if not looked:
        raise NotApplicable("No field besides x is read that could have a wrong number.")


def _check_in_training(
    case: Case, stage: Stage, rows: dict[str, Any], value: float, *, taken: bool
) -> None:
    """Train a step on all rows, one of which has another value, which is accepted or refused."""
    data, name = case.data(), next(iter(rows))
    changed = ExampleData({**case.batch(), **rows}, data.info)
    said = f"{stage.objective.name}: a row with the {name} {value:g}"
    remedy = "State its space in the config's conditions, or the objective's reads."
    try:
        Trainer(case.model(), changed, stage, few_steps(1, len(changed), threads=1)).fit()
    except GenzooError as error:
        told = any(number in str(error) for number in (f"{value:g}", f"{value:.0f}"))
        demand(not taken, f"{said}, which stands for no {name}, is refused: {error}")
        demand(told, f"{said} is refused without the value: {error}")
    except Exception as error:
        raise CheckFailed(f"{said} ends in {type(error).__name__} ({error}). {remedy}") from error
    else:
        demand(taken, f"{said} is learned from. {remedy}")


def check_average_is_published(case: Case) -> None:
    """The averaged weights are in a run's folder and, at the end, in the model."""
    stage = case.cls.default_stages(case.cls.example()[0])[0]
    with tempfile.TemporaryDirectory() as folder:
        model = _train(case, stage, Path(folder, "run"), steps=3)
        published = OwnModel(FolderSource(Path(folder, "run"))).weights.read()
        newest = max(Path(folder, "run", CHECKPOINTS.name).iterdir())
        average = load_file(newest / "average.safetensors")
    averaged = {n.removeprefix("module."): t for n, t in average.items() if n != "n_averaged"}
    stored = {n: t for n, t in model.state_dict().items() if n in published}
    demand_equal(published, stored, "between a run's folder and the model it leaves")
    kept = {n: t for n, t in averaged.items() if n in published}
    demand_equal(published, kept, "between what is published and the averaged weights")


def _train(
    case: Case, stage: Any, folder: Path, *, steps: int, resume: bool = False, stop_after: int = 0
) -> GenerativeModel:
    """Train a new model; ``stop_after`` removes everything that was saved after that step."""
    model = case.model()
    config = dataclasses.replace(few_steps(steps, 4), save_steps=2, ema_decay=0.5)
    trainer = Trainer(model, case.data(), stage, config, output_dir=folder)
    trainer.fit(resume=resume)
    if stop_after:
        for path in Path(folder, CHECKPOINTS.name).iterdir():
            if int(path.name[-9:]) > stop_after:
                shutil.rmtree(path)
    return model


def few_steps(steps: int, batch_size: int, **values: Any) -> TrainerConfig:
    """Return training values for a short, silent training."""
    return TrainerConfig(
        max_steps=steps, batch_size=batch_size, progress=False, logging_steps=1, **values
    )
