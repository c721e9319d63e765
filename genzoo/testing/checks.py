"""The checks that every model must pass."""

from __future__ import annotations

import dataclasses
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from genzoo import registry
from genzoo.building import build_empty
from genzoo.config import Bounds, Config, field_types
from genzoo.errors import ConfigError, GenzooError, LoadError, UnknownNameError
from genzoo.model import GenerativeModel
from genzoo.objective import Loss, Objective, Step
from genzoo.storage import GenModel
from genzoo.testing.cases import SEED, Case, CheckFailed, demand, equal_states, seeded
from genzoo.training import Trainer, TrainerConfig
from genzoo.training.accelerating import accelerating
from genzoo.training.batches import to_device
from genzoo.training.config import resolve
from genzoo.training.parts import only_part
from genzoo.training.players import make_players
from genzoo.training.update import Updater

Check = Callable[[Case], None]


def check_config_closed(case: Case) -> None:
    """The config is a frozen, bounded schema that round-trips and refuses what it knows not."""
    config, _ = case.cls.example()
    demand(isinstance(config, Config), f"Config must subclass genzoo.Config: {type(config)}.")
    frozen = type(config).__dataclass_params__.frozen  # type: ignore[attr-defined]
    demand(frozen, "The config must be frozen.")
    again = case.cls.Config.from_dict(config.to_dict())
    demand(again == config, f"The config does not round-trip: {config} became {again}.")
    try:
        case.cls.Config.from_dict({**config.to_dict(), "no_such_field": 1})
    except ConfigError:
        pass
    else:
        demand(False, "The config accepts a field that it does not have.")
    unbounded = [n for n, kind in field_types(type(config)).items() if _unbounded_int(kind)]
    demand(not unbounded, f"Whole numbers without Bounds: {', '.join(unbounded)}.")


def check_builds_empty(case: Case) -> None:
    """The model can be built on the meta device, with the same names and shapes."""
    model = case.model()
    empty = build_empty(case.cls, model.config, max_tensors=len(model.state_dict()))
    demand(
        {k: v.shape for k, v in empty.state_dict().items()}
        == {k: v.shape for k, v in model.state_dict().items()},
        "Built on the meta device, the model has other names or shapes.",
    )


def check_save_load(case: Case) -> None:
    """What was saved loads bit-equal, with the same config, in eval mode, and samples the same."""
    model = case.model().eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = GenModel.from_pretrained(folder)
    demand(type(loaded) is case.cls, f"It loads as {type(loaded)}.")
    demand(loaded.config == model.config, "The config is not the same after loading.")
    _demand_equal(model.state_dict(), loaded.state_dict(), "after saving and loading")
    buffers = dict(model.named_buffers()), dict(loaded.named_buffers())
    _demand_equal(*buffers, "among the buffers after loading")
    demand(not loaded.training, "A loaded model must be in eval mode.")
    condition = case.condition(model, 3)
    draws = [m.sample(3, seed=SEED, condition=condition) for m in (model, loaded)]
    demand(torch.equal(*draws), "The loaded model samples other values from the same seed.")


def check_strict_load(case: Case) -> None:
    """A missing tensor, an added one, and one of another shape are refused."""

    def refused(change: Callable[[dict[str, Tensor]], None]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            case.model().save_pretrained(folder)
            path = Path(folder, "model.safetensors")
            state = load_file(path)
            change(state)
            save_file({k: v.clone() for k, v in state.items()}, path)
            try:
                GenModel.from_pretrained(folder)
            except LoadError:
                return True
            return False

    first = min(case.model().state_dict())

    def drop(state: dict[str, Tensor]) -> None:
        del state[first]

    def widen(state: dict[str, Tensor]) -> None:
        state[first] = torch.zeros(*state[first].shape, 2)

    demand(refused(drop), f"Weights without {first!r} load.")
    demand(refused(lambda s: s.update(extra=torch.zeros(1))), "Weights with an extra tensor load.")
    demand(refused(widen), f"Weights with another shape of {first!r} load.")


def check_samples(case: Case) -> None:
    """Samples have the right number, shape and type, are finite, and need no gradient."""
    model = case.model()
    x = model.sample(5, seed=SEED, condition=case.condition(model, 5))
    demand(tuple(x.shape) == (5, *model.event_shape), f"Five samples have shape {tuple(x.shape)}.")
    demand(bool(torch.isfinite(x).all()), "A sample is not finite.")
    demand(not x.requires_grad, "Samples must not require gradients.")
    if case.cls.kind == frozenset({"binary"}):
        demand(bool(((x == 0) | (x == 1)).all()), "Samples of binary data must be 0 or 1.")


def check_seed_and_blocks(case: Case) -> None:
    """A seed decides the samples, if chance does; their number and what else was drawn do not."""
    model = case.model()

    def draw(num: int, seed: int) -> Tensor:
        condition = case.condition(model, num)
        return model.sample(num, seed=seed, batch_size=4, condition=condition)

    demand(torch.equal(draw(5, 1), draw(5, 1)), "The same seed gives other samples.")
    again, random = torch.equal(draw(5, 1), draw(5, 2)), model.sampler().is_random
    demand(not (again and random), "Another seed gives the same samples.")
    demand(again or random, "The seed has a say, and the sampler says that it is not random.")
    many = draw(11, 1)
    for num in (1, 3, 4, 5, 8):
        demand(
            torch.equal(draw(num, 1), many[:num]),
            f"Of one seed and batch_size, the first {num} samples of {num} and of 11 differ.",
        )
    torch.rand(7)
    demand(torch.equal(draw(11, 1), many), "Samples depend on the global generator.")


def check_losses_move_their_player(case: Case) -> None:
    """Each loss moves its own player's parameters and no other's; all get a gradient."""
    for stage in case.stages():
        model = case.model().train()
        objective = case.objective(stage, model).train()
        with only_part(model, stage.part), accelerating(TrainerConfig(), None) as accelerator:
            recorder = _Recorder(objective, stage.objective.name, accelerator)
            for index in range(2):
                recorder.run(_batch(case), index)
            silent = sorted(set(objective.players()) - recorder.moved)
        demand(not silent, f"{stage.objective.name}: the players {silent} never move.")


def check_loss_is_a_mean(case: Case) -> None:
    """A loss is a finite scalar that its player can lower; its metrics are detached scalars."""
    for stage in case.stages():
        model = case.model()
        objective = case.objective(stage, model)
        step = Step(0, 10, 0, torch.Generator().manual_seed(SEED))
        with only_part(model, stage.part), seeded(SEED):
            for loss in objective.losses(_batch(case), step):
                _check_loss(loss, objective, f"{stage.objective.name}, player {loss.player!r}")


def _check_loss(loss: Loss, objective: Objective, where: str) -> None:
    demand(loss.value.shape == (), f"{where}: the loss has shape {tuple(loss.value.shape)}.")
    demand(bool(torch.isfinite(loss.value)), f"{where}: the loss is {loss.value}.")
    for key, value in loss.metrics.items():
        scalar = value.numel() == 1 and not value.requires_grad
        demand(scalar, f"{where}: the metric {key!r} is no detached scalar.")
    torch.autograd.grad(loss.value, objective.players()[loss.player])


def check_resume_is_exact(case: Case) -> None:
    """Stopped at a checkpoint and gone on with, training gives the bit-equal model."""
    for stage in case.stages():
        with tempfile.TemporaryDirectory() as folder:
            straight = _train(case, stage, Path(folder, "straight"), steps=6)
            _train(case, stage, Path(folder, "stopped"), steps=6, stop_after=4)
            resumed = _train(case, stage, Path(folder, "stopped"), steps=6, resume=True)
        _demand_equal(
            straight.state_dict(), resumed.state_dict(), f"after resuming {stage.objective.name}"
        )


def check_no_side_effects(case: Case) -> None:
    """Building, training and sampling leave global seeds, flags and threads as they were."""
    before = _global_state()
    model = case.cls(case.cls.example()[0])
    before["torch generator"] = torch.get_rng_state()  # Parameters are initialised from it.
    stage = case.cls.default_stages()[0]
    Trainer(model, case.data(), stage, _few_steps(2, 4)).fit()
    model.sample(2, seed=SEED, condition=case.condition(model, 2))
    after = _global_state()
    changed = [name for name in before if not _same(before[name], after[name])]
    demand(not changed, f"Changed for everybody: {', '.join(changed)}.")


def check_registered(case: Case) -> None:
    """The class is found by its name, and its name by the class."""
    demand(registry.name_of("models", case.cls) == case.name, "The class has another name.")
    kinds = {"binary", "unit", "real", "categorical"}
    demand(bool(case.cls.kind) and case.cls.kind <= kinds, f"kind is {case.cls.kind}.")
    demand(bool(case.cls.default_stages()), "default_stages() is empty.")


CHECKS: tuple[Check, ...] = (
    check_registered,
    check_config_closed,
    check_builds_empty,
    check_save_load,
    check_strict_load,
    check_samples,
    check_seed_and_blocks,
    check_loss_is_a_mean,
    check_losses_move_their_player,
    check_resume_is_exact,
    check_no_side_effects,
)


def check_model(name: str, *, expected_failures: Mapping[str, str] | None = None) -> None:
    """Run every check over a registered model.

    Arguments:
        name: The model's registered name.
        expected_failures: For a check's name, the reason why the model may fail it; a check that
            then passes is a failure too.

    Raises:
        CheckFailed: The first check that fails.
        UnknownNameError: There is no such check in ``expected_failures``.
    """
    excused = dict(expected_failures or {})
    known = [check.__name__ for check in CHECKS]
    for check in excused:
        if check not in known:
            raise UnknownNameError("check", check, known)
    case = Case(name, registry.load("models", name))
    for run in CHECKS:
        if run.__name__ not in excused:
            run(case)
        else:
            demand(_fails(run, case), f"{run.__name__} passes; take it off expected_failures.")


def _fails(check: Check, case: Case) -> bool:
    try:
        check(case)
    except (CheckFailed, GenzooError):
        return True
    return False


class _Recorder:
    """Updates an objective's players, and demands that nobody else moves."""

    def __init__(self, objective: Objective, name: str, accelerator: Accelerator) -> None:
        self.objective, self.name = objective.to(accelerator.device), name
        self.device = accelerator.device
        players = make_players(objective, resolve(TrainerConfig(), {}), accelerator)
        self.updater = Updater(objective, players, accelerator, [0], SEED)
        self.moved: set[str] = set()
        self.seen = self._parameters()
        for player in players.values():
            self._watch(player)

    def run(self, batch: Any, index: int) -> None:
        """Make one update."""
        with seeded(SEED):
            self.updater.run([to_device(batch, self.device)], index, 10)

    def _watch(self, player: Any) -> None:
        step = player.step

        def watched() -> None:
            step()
            now = self._parameters()
            changed = {n for n in now if not torch.equal(self.seen[n], now[n])}
            foreign = sorted(changed - set(player.names))
            demand(not foreign, f"{self.name}: the move of {player.name!r} changes {foreign[:3]}.")
            if changed:
                self.moved.add(player.name)
            self.seen = now

        player.step = watched

    def _parameters(self) -> dict[str, Tensor]:
        return {n: p.detach().clone() for n, p in self.objective.named_parameters()}


def _train(
    case: Case, stage: Any, folder: Path, *, steps: int, resume: bool = False, stop_after: int = 0
) -> GenerativeModel:
    """Train a new model; ``stop_after`` removes what was saved after that step."""
    model = case.model()
    config = dataclasses.replace(_few_steps(steps, 4), checkpoint_every=2, ema_decay=0.5)
    trainer = Trainer(model, case.data(), stage, config, output_dir=folder)
    trainer.fit(resume=resume)
    if stop_after:
        for path in Path(folder, "checkpoints").iterdir():
            if int(path.name[-9:]) > stop_after:
                shutil.rmtree(path)
    return model


def _few_steps(steps: int, batch_size: int) -> TrainerConfig:
    return TrainerConfig(steps=steps, batch_size=batch_size, progress=False, log_every=1)


def _batch(case: Case) -> dict[str, Any]:
    return case.data().batch(range(len(case.data())))


def _demand_equal(a: dict[str, Any], b: dict[str, Any], when: str) -> None:
    names = equal_states(a, b)
    demand(not names, f"Not bit-equal {when}: {', '.join(names[:5])}.")


def _unbounded_int(kind: Any) -> bool:
    """Whether a type lets through whole numbers of any size."""
    if kind is int:
        return True
    if get_origin(kind) is not Annotated:
        return any(_unbounded_int(inner) for inner in get_args(kind) if get_origin(kind))
    inner, *marks = get_args(kind)
    bounded = any(isinstance(mark, Bounds) for mark in marks)
    of_a_number = bounded and get_origin(inner) is not tuple
    return not of_a_number and _unbounded_int(inner)


def _global_state() -> dict[str, Any]:
    return {
        "torch generator": torch.get_rng_state(),
        "numpy generator": np.random.get_state(legacy=False)["state"]["key"],
        "random generator": random.getstate(),
        "threads": torch.get_num_threads(),
        "running threads": threading.active_count(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) else a == b
