"""Checks of the values for evaluations during training, before anything is written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

from genzoo.data import Dataset
from genzoo.errors import ConfigError, DataError, suggest
from genzoo.evaluation.choosing import choose
from genzoo.model import Model
from genzoo.training.best import figure_of, goal_of, is_loss
from genzoo.training.config import TrainerConfig


def check_evaluations(
    configs: Sequence[TrainerConfig], model: Model, data: Dataset | None
) -> None:
    """Check the values for evaluations of all stages.

    Arguments:
        configs: The training values of each stage.
        model: The model.
        data: The held-out rows, or None.

    Raises:
        ConfigError: Values contradict each other, or there are no held-out data.
        DataError: They have no rows.
        CapabilityError: The model does not support a metric.
        UnknownNameError: A metric does not exist.
    """
    if data is not None and len(data) == 0:
        raise DataError(f"{data.name} has no rows to evaluate on. Give some, or no eval_data.")
    for config in configs:
        _check(config, data)
    if data is not None and configs[-1].eval_metrics:
        choose(model, data, configs[-1].eval_metrics)


def without_metrics(config: TrainerConfig) -> TrainerConfig:
    """Return the values of a stage before the last, which is evaluated by its loss only.

    The metrics judge the whole model, which is not complete before the last stage.
    """
    name = figure_of(config)
    undecided: dict[str, Any] = {"metric_for_best_model": None, "early_stopping_patience": 0}
    others = undecided if name is not None and not is_loss(name) else {}
    return dataclasses.replace(config, eval_metrics=(), **others)


def check_figure(config: TrainerConfig, players: Iterable[str]) -> None:
    """Raise ConfigError if the deciding figure is a loss that the objective does not have.

    Arguments:
        config: The stage's training values.
        players: The players of its objective.
    """
    name, names = figure_of(config), list(players)
    losses = ["loss"] if len(names) == 1 else [f"{player}/loss" for player in names]
    if name is not None and is_loss(name) and name not in losses:
        raise ConfigError(
            f"metric_for_best_model: the objective has no {name!r}. {suggest(name, losses)}"
        )


def _check(config: TrainerConfig, data: Dataset | None) -> None:
    name = figure_of(config)
    given = {
        "eval_steps": config.eval_steps,
        "eval_metrics": config.eval_metrics,
        "early_stopping_patience": config.early_stopping_patience,
        "metric_for_best_model": name,
    }
    asked = [key for key, value in given.items() if value]
    if asked and data is None:
        raise ConfigError(
            f"{asked[0]} needs held-out rows. Give --data.valid-fraction 0.1 (of a stream "
            "--data.valid-shards 1), or in Python Trainer(..., eval_data=...)."
        )
    if name is None:
        if config.metric_mode is not None:
            raise ConfigError(
                f"metric_mode {config.metric_mode!r} says which value of a figure is the best, "
                "and none is named. Give --trainer.metric-for-best-model."
            )
        return
    if config.early_stopping_patience and config.eval_steps >= (config.max_steps or math.inf):
        raise ConfigError(
            "early_stopping_patience compares evaluations, and with eval_steps "
            f"{config.eval_steps} there is only one in {config.max_steps} updates. Give a smaller "
            "--trainer.eval-steps."
        )
    if not config.eval_steps:
        asked = ["early_stopping_patience"] if config.early_stopping_patience else asked[-1:]
        raise ConfigError(
            f"{asked[0]} compares evaluations, and without eval_steps there is only one. Give "
            "--trainer.eval-steps."
        )
    goal_of(config)
