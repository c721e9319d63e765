"""The choice of metrics for a model and data, with reasons for those left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genzoo import registry
from genzoo.component import Component
from genzoo.data.dataset import Dataset
from genzoo.errors import CapabilityError, ConfigError, MissingDependencyError
from genzoo.evaluation.metric import Metric
from genzoo.model import Model

logger = logging.getLogger("genzoo")


@dataclass(frozen=True)
class Choice:
    """The metrics to compute, and the reasons for others.

    Arguments:
        metrics: The metrics by name.
        left_out: Metrics that would fit, with the reason, such as too few rows.
        not_applicable: Metrics that do not fit the model or the data, with the reason.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)


def choose(model: Model, data: Dataset, names: Sequence[str | Component] | None) -> Choice:
    """Return the named metrics, or all that can be computed if ``names`` is None.

    Raises:
        CapabilityError: A named metric cannot be computed.
        ConfigError: A metric is named twice.
        UnknownNameError: A metric does not exist.
    """
    if names is None:
        return _everything(model, data)
    pairs = list(map(_made, names))
    metrics = dict(pairs)
    if len(metrics) < len(pairs):
        twice = next(name for name in metrics if [key for key, _ in pairs].count(name) > 1)
        raise ConfigError(f"The metric {twice} is named twice; evaluate once for each config.")
    check_available(model, data, metrics)
    return Choice(metrics)


def check_available(model: Model, data: Dataset, metrics: Mapping[str, Metric]) -> None:
    """Raise CapabilityError if a metric cannot be computed for a model on data."""
    reasons = {name: metric.unavailable_reason(model, data) for name, metric in metrics.items()}
    if wrong := {name: reason for name, reason in reasons.items() if reason}:
        raise CapabilityError(f"{type(model).__name__} does not support {_listed(wrong)}.")


def no_figures_error(model: Model, data: Dataset, choice: Choice) -> CapabilityError:
    """Return the error for a model without any figure, with what each metric needs."""
    needs = _listed(choice.left_out | choice.not_applicable)
    subject = f"{type(model).__name__} on {data.name}"
    return CapabilityError(f"No figure can be computed for {subject}: {needs}.")


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Return names grouped by reason.

    >>> by_reason({"a": "no labels", "b": "no rows", "c": "no labels"})
    {'no labels': ['a', 'c'], 'no rows': ['b']}
    """
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return names


def _everything(model: Model, data: Dataset) -> Choice:
    choice = Choice()
    for name, metric in _loadable(choice.left_out).items():
        reason = metric.unavailable_reason(model, data)
        if not reason:
            choice.metrics[name] = metric
        elif unfit := metric.inapplicable_reason(model, data):
            choice.not_applicable[name] = unfit
        else:
            choice.left_out[name] = reason
    return choice


def _made(metric: str | Component) -> tuple[str, Metric]:
    named = Component(name=metric) if isinstance(metric, str) else metric
    return named.name, registry.make("metrics", named)


def _loadable(left_out: dict[str, str]) -> dict[str, Metric]:
    """Return every metric of the default set that can be loaded.

    Arguments:
        left_out: Receives the reason for each of the others.
    """
    metrics: dict[str, Metric] = {}
    for name in registry.names("metrics"):
        try:
            cls = registry.load("metrics", name)
            metrics |= {name: cls()} if cls.is_default else {}
        except MissingDependencyError as error:
            left_out[name] = str(error).removeprefix(f"{name!r} ")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            left_out[name] = f"it cannot be loaded ({type(error).__name__}: {error})"
            logger.warning("The metric %s is left out: %s: %s", name, type(error).__name__, error)
    return metrics


def _listed(reasons: Mapping[str, str]) -> str:
    """Return names with their reasons, grouped by reason."""
    shared = by_reason(reasons).items()
    return "; ".join(f"{', '.join(names)} ({reason.rstrip('.')})" for reason, names in shared)
