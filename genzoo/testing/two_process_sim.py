"""Two processes simulated in one, with an independent implementation of averaging."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo import registry, seeds
from genzoo.objective import Loss, Objective, Step
from genzoo.stage import Stage
from genzoo.testing.cases import SEED, Case, demand, seeded
from genzoo.testing.training_harness import TOTAL, gradients_of, shared
from genzoo.training.stage_scope import only_part
from genzoo.values import trusted


def two_processes(case: Case, stage: Stage, *, steps: int) -> list[Objective]:
    """Return the objectives of two processes, each of which sees half of every batch."""
    ranks = [case.objective(stage, case.model().train()).train() for _ in range(2)]
    first, second = (objective.model for objective in ranks)
    with only_part(first, stage.part), only_part(second, stage.part):
        optimizers = [_optimizers(objective) for objective in ranks]
        for index in range(steps):
            with seeded(SEED), trusted():
                _update(shared(case, stage, 2), ranks, optimizers, index)
    return ranks


def _optimizers(objective: Objective) -> dict[str, torch.optim.Optimizer]:
    own = objective.optimizers(objective.config)
    players = objective.players().items()
    return {name: registry.make("optimizers", own[name]).build(list(p)) for name, p in players}


def _update(
    batches: list[dict[str, Any]],
    ranks: list[Objective],
    optimizers: list[dict[str, torch.optim.Optimizer]],
    index: int,
) -> None:
    generators = [torch.Generator() for _ in ranks]
    games = [
        objective.losses(batch, Step(index, TOTAL, rank, generators[rank]))
        for rank, (objective, batch) in enumerate(zip(ranks, batches, strict=True))
    ]
    for move in range(1000):
        moved: list[Loss] = []
        gradients: list[list[Tensor]] = []
        for rank, game in enumerate(games):
            seed = seeds.derive_seed(SEED, index, rank, move)
            generators[rank].manual_seed(seed)
            torch.default_generator.manual_seed(seed)
            if (loss := next(game, None)) is not None:
                moved.append(loss)
                gradients.append(gradients_of(loss, ranks[rank].players()[loss.player]))
        if not moved:
            return
        same = len(moved) == len(games) and len({loss.player for loss in moved}) == 1
        demand(same, f"Of two processes, the moves differ: {[loss.player for loss in moved]}.")
        _step(moved[0].player, ranks, optimizers, gradients)


def _step(
    player: str,
    ranks: list[Objective],
    optimizers: list[dict[str, torch.optim.Optimizer]],
    gradients: list[list[Tensor]],
) -> None:
    """Give every process the mean of the gradients, and step the player."""
    means = [torch.stack(parts).mean(0) for parts in zip(*gradients, strict=True)]
    for objective, own in zip(ranks, optimizers, strict=True):
        for parameter, mean in zip(objective.players()[player], means, strict=True):
            parameter.grad = mean.clone()
        own[player].step()
