"""Evaluation: what a model is worth, with a receipt. It knows capabilities, and no family."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from genzoo import registry, seeds
from genzoo.data import as_dataset
from genzoo.data.dataset import Dataset
from genzoo.data.preparing import Limited
from genzoo.errors import CapabilityError, ConfigError, DataError, MissingDependencyError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.receipts import receipt_of, signed
from genzoo.evaluation.table import lines_of
from genzoo.finite import weights_checked
from genzoo.model import GenerativeModel
from genzoo.sampler import Sampler
from genzoo.sampling import evaluating
from genzoo.stage import Named

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
        return "\n".join(lines_of(self.figures, self.receipt))


def evaluate(
    model: GenerativeModel,
    data: Dataset | Any,
    metrics: Sequence[str | Named] | None = None,
    *,
    sampler: Sampler | None = None,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
) -> Evaluation:
    """Judge a model on data.

    Arguments:
        model: The model.
        data: A dataset, or an array or tensor of rows.
        metrics: Registered names, or names with fields of the metric's config; all that the
            model's capabilities and the data allow, where None.
        sampler: How samples are drawn; the model's own sampler where None.
        seed: Where the randomness of samples and estimators comes from.
        max_examples: At most so many rows are used, the first ones.

    Raises:
        DataError: The data are not of the model's kind or shape, or there are none.
        NotFiniteWeightsError: A parameter or a buffer of the model holds NaN or infinity.
        CapabilityError: A metric was asked for that cannot be had of the model.
        ConfigError: ``max_examples`` is less than 1, a metric's config is refused, or one metric
            is named twice.
        UnknownNameError: There is no such metric.
    """
    if max_examples < 1:
        raise ConfigError(f"max_examples must be at least 1, got {max_examples}.")
    rows = as_dataset(data)
    if len(rows) == 0:
        raise DataError(f"{rows.name} holds no rows to evaluate on. Choose another split or file.")
    model.check_data(rows.spec)
    judged = rows if max_examples >= len(rows) else Limited(rows, max_examples)
    chosen = _choose(model, judged, metrics)
    batch = rows.head(max_examples, seed=seed)
    figures: dict[str, Estimate] = {}
    case = Case(model, rows, batch, seeds.generator(seed, model.device), seed, sampler)
    with evaluating(model), torch.no_grad(), weights_checked(model):
        for name, metric in chosen.items():
            case.generator.manual_seed(seeds.derive(seed, name))
            found = metric.compute(case)
            figures |= {key: signed(figure, name, metric) for key, figure in found.items()}
    return Evaluation(figures, receipt_of(case))


def _choose(
    model: GenerativeModel, data: Dataset, names: Sequence[str | Named] | None
) -> dict[str, Metric]:
    """Return the metrics that were asked for, or all that can be had."""
    made = list(_loadable().items()) if names is None else list(map(_made, names))
    found = dict(made)
    if len(found) < len(made):
        twice = next(name for name in found if [key for key, _ in made].count(name) > 1)
        raise ConfigError(f"The metric {twice} is named twice; evaluate once for each config.")
    reasons = {name: metric.missing(model, data) for name, metric in found.items()}
    wrong = {name: reason for name, reason in reasons.items() if reason and names is not None}
    if wrong:
        listed = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
        raise CapabilityError(f"Not to be had of {type(model).__name__}: {listed}.")
    return {name: metric for name, metric in found.items() if not reasons[name]}


def _made(metric: str | Named) -> tuple[str, Metric]:
    named = Named(name=metric) if isinstance(metric, str) else metric
    cls = registry.load("metrics", named.name)
    return named.name, cls(cls.Config.from_dict(named.config))


def _loadable() -> dict[str, Metric]:
    """Return every metric of the default set that can be loaded.

    One that wants a package which is not installed is left out quietly; one whose plugin is
    broken with a warning.
    """
    found: dict[str, Metric] = {}
    wanting: dict[str, MissingDependencyError] = {}
    for name in registry.names("metrics"):
        try:
            cls = registry.load("metrics", name)
            found |= {name: cls()} if cls.default else {}
        except MissingDependencyError as error:
            wanting[name] = error
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            logger.warning("The metric %s is left out: %s: %s", name, type(error).__name__, error)
    for first in list(wanting.values())[:1]:
        logger.info("Left out for want of packages: %s. %s", ", ".join(wanting), first)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
