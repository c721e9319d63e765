"""Evaluation: what a model is worth, with a receipt. It knows capabilities, and no family."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from genzoo import __version__, registry, seeds
from genzoo.data import as_dataset
from genzoo.data.dataset import Dataset
from genzoo.errors import CapabilityError, ConfigError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel
from genzoo.sampling import evaluating

__all__ = ["Case", "Evaluation", "Metric", "evaluate"]

MAX_EXAMPLES = 10_000
logger = logging.getLogger("genzoo")


@dataclass(frozen=True)
class Evaluation:
    """The figures of one evaluation, and the receipt that they share.

    Arguments:
        figures: The figures by name.
        receipt: The data, the number of examples, the seed and the versions behind them.
    """

    figures: Mapping[str, Estimate]
    receipt: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON; what is not finite is None."""
        figures = {name: _plain(asdict(figure)) for name, figure in self.figures.items()}
        return {"figures": figures, "receipt": dict(self.receipt)}

    def __str__(self) -> str:
        width = max(map(len, self.figures), default=0)
        lines = [f"{name:<{width}}  {figure}" for name, figure in self.figures.items()]
        facts = ", ".join(f"{key} {value}" for key, value in self.receipt.items())
        return "\n".join([*lines, f"Receipt: {facts}."])


def evaluate(
    model: GenerativeModel,
    data: Dataset | Any,
    metrics: Sequence[str] | None = None,
    *,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
) -> Evaluation:
    """Judge a model on data.

    Arguments:
        model: The model.
        data: A dataset, or an array or tensor of rows.
        metrics: Registered names; all that the model's capabilities and the data allow, where
            None.
        seed: Where the estimators' randomness comes from.
        max_examples: At most so many rows are used, the first ones.

    Raises:
        DataError: The data are not of the model's kind or shape.
        CapabilityError: A metric was asked for that cannot be had of the model.
        ConfigError: ``max_examples`` is less than 1.
        UnknownNameError: There is no such metric.
    """
    if max_examples < 1:
        raise ConfigError(f"max_examples must be at least 1, got {max_examples}.")
    rows = as_dataset(data)
    model.check_data(rows.spec)
    chosen = _choose(model, rows, metrics)
    batch = rows.head(max_examples, seed=seed)
    figures: dict[str, Estimate] = {}
    with evaluating(model), torch.no_grad():
        for name, metric in chosen.items():
            generator = seeds.generator(seeds.derive(seed, name), model.device)
            figures |= metric.compute(Case(model, rows, batch, generator))
    return Evaluation(figures, _receipt(rows, len(batch["x"]), seed))


def _choose(
    model: GenerativeModel, data: Dataset, names: Sequence[str] | None
) -> dict[str, Metric]:
    """Return the metrics that were asked for, or all that can be had."""
    if names is None:
        found = _loadable()
    else:
        found = {name: registry.load("metrics", name)() for name in names}
    reasons = {name: metric.missing(model, data) for name, metric in found.items()}
    wrong = {name: reason for name, reason in reasons.items() if reason and names is not None}
    if wrong:
        listed = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
        raise CapabilityError(f"Not to be had of {type(model).__name__}: {listed}.")
    return {name: metric for name, metric in found.items() if not reasons[name]}


def _loadable() -> dict[str, Metric]:
    """Return every metric; one whose plugin is broken is left out, and said to be."""
    found: dict[str, Metric] = {}
    for name in registry.names("metrics"):
        try:
            found[name] = registry.load("metrics", name)()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            logger.warning("The metric %s is left out: %s: %s", name, type(error).__name__, error)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _receipt(data: Dataset, num: int, seed: int) -> dict[str, Any]:
    return {
        "data": data.name,
        "examples": num,
        "seed": seed,
        "genzoo": __version__,
        "torch": torch.__version__,
    }
