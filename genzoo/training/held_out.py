"""Evaluation during training: the objective's loss and chosen metrics on held-out rows."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from genzoo import registry, seeds
from genzoo.estimate import Estimate
from genzoo.evaluation import evaluate
from genzoo.meaning import Meaning
from genzoo.model import Model
from genzoo.objective import Loss, Objective, Step
from genzoo.training.accelerating import autocast, from_main
from genzoo.training.ema import Average
from genzoo.training.inputs import Inputs
from genzoo.training.meanings import EVAL
from genzoo.training.plan import Plan
from genzoo.training.session import Session
from genzoo.values import trusted


class HeldOut:
    """Evaluates a stage on held-out rows, with the weights that would be published.

    A copy of the model and the objective is evaluated, in eval mode, and then thrown away. So
    whatever `Objective.losses` changes (chains, counters, batch statistics), training does not see
    it. Draws are seeded by block and move only: every evaluation makes the same ones.

    Arguments:
        plan: What is trained.
        session: The session.
        number: The number of the stage.
        inputs: The models that the stage's data pass through.
    """

    def __init__(self, plan: Plan, session: Session, number: int, inputs: Inputs) -> None:
        self.plan, self.session, self.inputs = plan, session, inputs
        self.config = plan.configs[number]
        self.seed = seeds.derive_seed("held-out", self.config.seed, number)
        self.meanings: dict[str, Meaning] = {}
        self._frozen = True

    def is_due(self, step: int, *, last: bool) -> bool:
        """Whether to evaluate after update number ``step``."""
        every = self.config.eval_steps
        return self.plan.eval_data is not None and (last or (every > 0 and step % every == 0))

    def figures(self, objective: Objective, average: Average | None) -> dict[str, float]:
        """Return the losses and the figures of the chosen metrics by name.

        The loss of a single player is ``loss``, others are ``PLAYER/loss``. A loss's metrics are
        averaged likewise. The main process computes, so all processes decide by the same numbers.
        """
        return from_main(self.session.accelerator, partial(self._figures, objective, average))

    def _figures(self, objective: Objective, average: Average | None) -> dict[str, float]:
        try:
            model, judged = self._copy(objective, average)
            found = self._losses(judged)
        except RuntimeError:
            if not self._frozen:
                raise
            # The losses take derivatives by parameters, as unrolled updates do.
            self._frozen = False
            model, judged = self._copy(objective, average)
            found = self._losses(judged)
        data, metrics = self.plan.eval_data, self.config.eval_metrics
        if metrics and data is not None:
            figures = evaluate(model.eval(), data, metrics, seed=self.config.seed).figures
            found |= {name: figure.value for name, figure in figures.items()}
            self.meanings = {EVAL + name: _meaning(figure) for name, figure in figures.items()}
        return found

    def _copy(self, objective: Objective, average: Average | None) -> tuple[Model, Objective]:
        """Return copies of the model and the objective in eval mode."""
        both = (self.plan.model, objective)
        # No player moves, so without averaged weights the copies can share the numbers.
        shared = {} if average else {id(p): _alias(p) for m in both for p in m.parameters()}
        model, judged = copy.deepcopy(both, shared)
        if average is not None:
            average.apply_to(model)
        # Frozen, no graph is kept. Gradients stay enabled, because a loss may take derivatives by
        # its inputs, as penalties do.
        if self._frozen:
            judged.requires_grad_(False)
        return model, judged.eval()

    def _losses(self, objective: Objective) -> dict[str, float]:
        """Return the mean over rows of each player's loss, over its moves, and of its metrics."""
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        alone = len(objective.players()) == 1
        for seed, num, batch in self._blocks():
            for loss in self._play(objective, batch, seed):
                prefix = "" if alone else f"{loss.player}/"
                for name, value in {"loss": loss.value, **loss.metrics}.items():
                    sums[prefix + name] += num * float(value.detach())
                    counts[prefix + name] += num
        return {name: total / counts[name] for name, total in sums.items()}

    def _blocks(self) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield the rows in nearly equal blocks, each with its seed and its size."""
        rows = self.plan.eval_rows
        if rows is None:
            return
        # Without a graph, larger blocks than those of an update fit in the same memory. They are
        # equal, because a last block of a single row would have no batch statistics.
        most = (self.config.batch_size or 1) * (4 if self._frozen else 1)
        num_blocks = -(-len(rows) // most)
        for number, index in enumerate(torch.arange(len(rows)).tensor_split(num_blocks)):
            seed = seeds.derive_seed(self.seed, number)
            batch = self.plan.to_device(
                rows.batch(index, seeds.generator(seed)), self.session.device
            )
            yield seed, len(index), self.inputs.coded(batch, seed)

    def _play(self, objective: Objective, batch: dict[str, Any], seed: int) -> Iterator[Loss]:
        """Yield the losses of a batch; no player moves."""
        # As after the last update: a loss that is annealed can then be compared over the run.
        total, generator = self.config.max_steps or 1, torch.Generator(self.session.device)
        game = objective.losses(batch, Step(total, total, 0, generator))
        move = 0
        with trusted():
            while True:
                own = seeds.derive_seed(seed, move)
                generator.manual_seed(own)
                seeds.seed_defaults(own, self.session.device)
                with autocast(self.session.accelerator):
                    loss = next(game, None)
                if loss is None:
                    return
                yield loss
                move += 1


def _meaning(figure: Estimate) -> Meaning:
    """Return what a metric's figure is: the summary of the metric, unit and goal."""
    metric = registry.load("metrics", figure.provenance["metric"])
    summary = (metric.__doc__ or "").strip().partition("\n")[0]
    return Meaning(summary.rstrip(".") or "figure of a metric", figure.unit, figure.goal)


def _alias(parameter: nn.Parameter) -> nn.Parameter:
    """Return another parameter with the same storage."""
    return nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
