"""The best weights of a stage by a figure of its evaluations, and when to stop early."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genzoo import registry
from genzoo.errors import ConfigError, suggest
from genzoo.goal import REFERENCE, Goal
from genzoo.model import Model
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import Average

logger = logging.getLogger("genzoo")

LOWER = Goal("lower")
_OF_MODE = {"min": LOWER, "max": Goal("higher")}


class Best:
    """The best evaluation of a stage; part of the state that a checkpoint holds.

    Arguments:
        config: The stage's training values, of which some name the figure and the patience.
    """

    def __init__(self, config: TrainerConfig) -> None:
        self.config = config
        self.name = figure_of(config)
        self.goal = goal_of(config)
        self.value: float | None = None
        self.step = 0
        self.unimproved = 0
        self.weights: dict[str, Tensor] = {}

    @property
    def patience_is_over(self) -> bool:
        """Whether as many evaluations in a row as the patience have not improved the figure."""
        patience = self.config.early_stopping_patience
        return 0 < patience <= self.unimproved

    def consider(
        self, step: int, figures: Mapping[str, float], model: Model, average: Average | None
    ) -> None:
        """Compare an evaluation with the best one; keep the weights of a better one.

        Arguments:
            step: The number of updates made.
            figures: The figures.
            model: The model that is trained.
            average: Its average, which is what was evaluated; None if there is none.

        Raises:
            ConfigError: The evaluation has no such figure.
        """
        if self.name is None:
            return
        if self.name not in figures:
            raise unknown_figure(self.name, figures)
        value = figures[self.name]
        if not self._is_better(value):
            self.unimproved += 1
            return
        self.value, self.step, self.unimproved = value, step, 0
        self.weights = {
            name: tensor.detach().cpu().clone()
            for name, tensor in published(model, average).state_dict().items()
        }

    def model_like(self, model: Model) -> Model:
        """Return a copy of a model with the best weights."""
        found = copy.deepcopy(model)
        found.load_state_dict(self.weights)
        return found

    def values(self) -> dict[str, Any]:
        """Return everything but the weights."""
        return {"value": self.value, "step": self.step, "unimproved": self.unimproved}

    def load(self, weights: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Put back the weights, and what ``values`` gave."""
        self.weights = dict(weights)
        self.value, self.step = values["value"], values["step"]
        self.unimproved = values["unimproved"]

    def _is_better(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.value is None:
            return True
        return self.goal.cost(value) < self.goal.cost(self.value)


def figure_of(config: TrainerConfig) -> str | None:
    """Return the figure that decides which weights are the best; None keeps no best weights."""
    return config.metric_for_best_model or ("loss" if config.early_stopping_patience else None)


def goal_of(config: TrainerConfig) -> Goal:
    """Return the goal of the deciding figure.

    Raises:
        ConfigError: It is not known, or contradicts ``metric_mode``.
        UnknownNameError: A metric does not exist.
    """
    name, mode = figure_of(config), config.metric_mode
    declared = LOWER if name is None or is_loss(name) else _declared(name, config.eval_metrics)
    if declared is None or (declared.direction == "near" and declared.best == REFERENCE):
        if mode is None:
            raise ConfigError(
                "metric_for_best_model: no metric of eval_metrics says whether the smallest or "
                f"the greatest {name!r} is the best. Add a metric to --trainer.eval-metrics, or, "
                "for a figure of the objective, give --trainer.metric-mode min or max."
            )
        return _OF_MODE[mode]
    if declared.direction == "none":
        raise ConfigError(
            f"metric_for_best_model: no value of {name!r} is better than another. Choose another "
            "figure, such as loss."
        )
    if mode is not None and _OF_MODE[mode].direction != declared.direction:
        raise ConfigError(
            f"metric_mode {mode!r} contradicts {name!r}: {declared}. Leave metric_mode out."
        )
    return declared


def _declared(figure: str, metrics: Sequence[str]) -> Goal | None:
    """Return the goal of a figure that one of the metrics declares."""
    goals = [registry.load("metrics", metric).goal_of(figure) for metric in metrics]
    return next((goal for goal in goals if goal is not None), None)


def is_loss(figure: str) -> bool:
    """Whether a figure's name is that of an objective's loss."""
    return figure == "loss" or figure.endswith("/loss")


def unknown_figure(name: str, known: Any) -> ConfigError:
    """Return the error for a figure that evaluations do not have."""
    return ConfigError(f"metric_for_best_model: no figure {name!r}. {suggest(name, known)}")


def published(model: Model, average: Average | None) -> Model:
    """Return what would be published now: the model, or a copy with the averaged weights."""
    if average is None:
        return model
    found = copy.deepcopy(model)
    average.apply_to(found)
    return found
