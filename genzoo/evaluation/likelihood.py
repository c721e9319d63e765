"""The log-likelihood of data under a model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from genzoo.capabilities import SupportsHeldOutRows, SupportsLogLikelihood
from genzoo.config import Bounds, Config
from genzoo.errors import CapabilityError
from genzoo.estimate import Estimate
from genzoo.evaluation.conditions import condition_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel


@dataclass(frozen=True, kw_only=True)
class LogLikelihoodConfig(Config):
    """The log-likelihood."""

    num_samples: Annotated[int | None, Bounds(1, 10**8)] = None
    """Draws of the estimate, such as importance samples a row or annealed chains; the model's own
    number by default."""


class LogLikelihood(Metric):
    """The mean of log p(x), in nats and in bits per dimension, with the model's kind and error.

    Bits per dimension are −log₂ p(x) / D: of discrete data what a lossless code of them would
    take, of real data the density's, which changes with their units and may be negative.

    A model whose estimate begins at rows of data is given rows that are not judged, where the data
    have enough of them.
    """

    Config = LogLikelihoodConfig
    requires = (SupportsLogLikelihood,)

    def no_weaker(self, model: GenerativeModel) -> LogLikelihoodConfig:
        """Return a config with at least as many draws as the model makes by default."""
        given, usual = self.config.num_samples, model.default_num_samples
        stronger = given is not None and usual is not None and given >= usual
        return LogLikelihoodConfig(num_samples=given if stronger else None)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the model's own estimate, in both units."""
        nats = log_likelihood(case, self.config.num_samples)
        bits = nats.per_dimension(math.prod(case.model.event_shape))
        return {"log-likelihood": nats, "bits-per-dimension": bits}


def log_likelihood(case: Case, num_samples: int | None = None) -> Estimate:
    """Ask the model for the log-likelihood of the case's rows.

    Raises:
        CapabilityError: The model has none.
    """
    model: Any = case.model
    if not isinstance(model, SupportsLogLikelihood):
        raise CapabilityError(f"{type(model).__name__} has no log-likelihood.")
    return model.log_likelihood(
        case.batch["x"],
        condition=condition_of(case.model, case.batch),
        generator=case.generator,
        num_samples=num_samples,
        **_start(case, num_samples),
    )


def _start(case: Case, num_samples: int | None) -> dict[str, Any]:
    """Return rows that are not judged, for a model whose estimate begins at such."""
    if not isinstance(case.model, SupportsHeldOutRows):
        return {}
    num = case.model.num_held_out(num_samples)
    others = case.others(num) if num else None
    return {} if others is None else {"start": others["x"]}
