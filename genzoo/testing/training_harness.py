"""Training of a model's example with the Trainer's own updater."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from genzoo.objective import Loss, Objective
from genzoo.stage import Stage
from genzoo.testing.cases import SEED, Case, demand, seeded
from genzoo.training import TrainerConfig
from genzoo.training.accelerating import accelerating
from genzoo.training.batches import to_device
from genzoo.training.config import resolve
from genzoo.training.inputs import Inputs
from genzoo.training.players import make_players
from genzoo.training.stage_scope import only_part
from genzoo.training.updater import Updater

TOTAL = 10
"""The total number of updates that a game is told."""


def updated(
    case: Case,
    stage: Stage,
    *,
    slots: int = 1,
    steps: int = 2,
    prepare: Callable[[Any], Any] = lambda module: module,
) -> Objective:
    """Return a stage's objective after some updates of a new model.

    Arguments:
        case: The model.
        stage: The stage.
        slots: The number of micro-batches of the example's rows.
        steps: The number of updates.
        prepare: A change of the model before.
    """
    model = prepare(case.model()).train()
    objective = case.objective(stage, model).to(model.dtype).train()
    with (
        only_part(objective.model, stage.part),
        accelerating(TrainerConfig(), None) as accelerator,
    ):
        players = make_players(objective, resolve(TrainerConfig(), {}), accelerator)
        updater = Updater(objective, players, accelerator, list(range(slots)), SEED)
        for index in range(steps):
            with seeded(SEED):
                updater.run(shared(case, stage, slots, model.dtype), index, TOTAL)
    return objective


def shared(
    case: Case, stage: Stage, slots: int, dtype: torch.dtype = torch.float32
) -> list[dict[str, Any]]:
    """Return the example's rows in equal micro-batches with a dtype, as a stage sees them."""
    data = case.data()
    size = len(data) // slots
    parts = [data.batch(range(i * size, (i + 1) * size)) for i in range(slots)]
    typed = [{key: as_dtype(value, dtype) for key, value in part.items()} for part in parts]
    if not stage.inputs:
        return typed
    return Inputs(stage, case.model().to(dtype)).feed(typed, range(slots), SEED, 0)


def as_dtype(value: Any, dtype: torch.dtype) -> Any:
    """Return a value with a dtype if it is a tensor of real numbers; others unchanged."""
    real = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if real else value


def gradients_of(loss: Loss, parameters: list[nn.Parameter]) -> list[Tensor]:
    """Return a loss's gradient by parameter: that of autograd plus the given one."""
    if not loss.gradients:
        return list(torch.autograd.grad(loss.value, parameters))
    found = {p: [g] for p, g in loss.gradients.items()}
    if loss.value.requires_grad:
        parts = torch.autograd.grad(loss.value, parameters, allow_unused=True)
        for parameter, part in zip(parameters, parts, strict=True):
            found.setdefault(parameter, []).extend([] if part is None else [part])
    silent = [p for p in parameters if not found.get(p)]
    demand(not silent, f"Parameters of the player {loss.player!r} get no gradient: {len(silent)}.")
    return [torch.stack(found[p]).sum(0) for p in parameters]


class Recorder:
    """Updates an objective's players, and requires that no other parameters change."""

    def __init__(self, objective: Objective, name: str, accelerator: Accelerator) -> None:
        self.objective, self.name = objective.to(accelerator.device), name
        self.device = accelerator.device
        players = make_players(objective, resolve(TrainerConfig(), {}), accelerator)
        self.updater = Updater(objective, players, accelerator, [0], SEED)
        self.moved: set[str] = set()
        self.seen = self._parameters()
        for player in players.values():
            self._watch(player)

    def run(self, batches: list[dict[str, Any]], index: int) -> None:
        """Make one update."""
        with seeded(SEED):
            self.updater.run([to_device(batch, self.device) for batch in batches], index, TOTAL)

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
