"""The log-likelihood of data under a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genzoo.capabilities import SupportsLogLikelihood
from genzoo.config import Config
from genzoo.errors import CapabilityError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel


@dataclass(frozen=True, kw_only=True)
class NoConfig(Config):
    """Nothing to choose."""


class LogLikelihood(Metric):
    """The mean of log p(x), in nats, with the kind and error that the model states."""

    Config = NoConfig
    requires = (SupportsLogLikelihood,)

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
    key = {"label": "label", "text": "text", "image": "y"}[model.condition_kind]
    if key not in batch:
        raise CapabilityError(
            f"{type(model).__name__} is conditioned on a {model.condition_kind}; the data have "
            f"none (no {key!r} in a batch)."
        )
    return batch[key]
