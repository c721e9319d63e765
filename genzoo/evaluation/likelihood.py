"""The log-likelihood of data under a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genzoo.capabilities import SupportsLogLikelihood
from genzoo.config import Config
from genzoo.data.dataset import Dataset
from genzoo.errors import CapabilityError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel

_KEYS = {"label": "label", "text": "text", "image": "y"}


@dataclass(frozen=True, kw_only=True)
class NoConfig(Config):
    """Nothing to choose."""


class LogLikelihood(Metric):
    """The mean of log p(x), in nats, with the kind and error that the model states."""

    Config = NoConfig
    requires = (SupportsLogLikelihood,)

    def missing(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the figure cannot be had; empty where it can."""
        reason = super().missing(model, data)
        if reason or model.condition_kind == "none":
            return reason
        return _unconditioned(model, data.head(1))

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the model's own estimate."""
        return {"log-likelihood": log_likelihood(case)}


def log_likelihood(case: Case) -> Estimate:
    """Ask the model for the log-likelihood of the case's rows.

    Raises:
        CapabilityError: The model has none.
    """
    model: Any = case.model
    if not isinstance(model, SupportsLogLikelihood):
        raise CapabilityError(f"{type(model).__name__} has no log-likelihood.")
    condition = condition_of(case.model, case.batch)
    return model.log_likelihood(case.batch["x"], condition=condition, generator=case.generator)


def condition_of(model: GenerativeModel, batch: Any) -> Any:
    """Return the part of a batch that the model is conditioned on.

    Raises:
        CapabilityError: The data have none.
    """
    if model.condition_kind == "none":
        return None
    lacking = _unconditioned(model, batch)
    if lacking:
        raise CapabilityError(f"{type(model).__name__} cannot be judged: {lacking}.")
    return batch[_KEYS[model.condition_kind]]


def _unconditioned(model: GenerativeModel, batch: Any) -> str:
    kind = model.condition_kind
    key = _KEYS[kind]
    none = f"it is conditioned on a {kind}; the data have none (no {key!r} in a batch)"
    return "" if key in batch else none
