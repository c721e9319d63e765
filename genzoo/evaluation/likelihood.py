"""The log-likelihood of data under a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch

from genzoo.capabilities import SupportsHeldOutRows, SupportsLogProb
from genzoo.config import Bounds, Config
from genzoo.estimate import Estimate, Note
from genzoo.evaluation.metric import Case, Metric
from genzoo.goal import Goal
from genzoo.log_prob import LogProb
from genzoo.model import Model


@dataclass(frozen=True, kw_only=True)
class LogLikelihoodConfig(Config):
    """The log-likelihood."""

    num_samples: Annotated[int | None, Bounds(1, 10**8)] = None
    """The number of draws of the estimate, such as importance samples per row or annealed chains;
    the model's default if None."""


class LogLikelihood(Metric[LogLikelihoodConfig]):
    """The mean of log p(x) in nats and in bits per dimension, with the model's kind and error.

    Bits per dimension are −log₂ p(x) / D: for discrete data the length of a lossless code, for
    real data a value of the density, which depends on the units and may be negative.

    A model whose estimate starts at rows of data receives rows that are not evaluated, if the data
    have enough of them.
    """

    Config = LogLikelihoodConfig
    requires = (SupportsLogProb,)
    goals: ClassVar = {"log-likelihood": Goal("higher"), "bits-per-dimension": Goal("lower")}

    def verification_config(self, model: Model) -> LogLikelihoodConfig:
        """Return a config with at least the model's default number of draws."""
        given, usual = self.config.num_samples, model.default_num_samples
        stronger = given is not None and usual is not None and given >= usual
        return LogLikelihoodConfig(num_samples=given if stronger else None)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the model's own estimate, in both units."""
        log_p = log_prob(case, self.config.num_samples)
        nats = log_p.mean()
        bits = nats.per_dimension(case.model.event.num_dims)
        return {"log-likelihood": nats, "bits-per-dimension": _of_levels(bits, log_p, case)}


def log_prob(case: Case, num_samples: int | None = None) -> LogProb:
    """Return the model's log p(x) of each of the case's rows."""
    model: Any = case.model
    with torch.no_grad():
        found: LogProb = model.log_prob(
            case.batch[case.model.event_field],
            condition=case.model.conditions_of(case.batch),
            generator=case.generator,
            num_samples=num_samples,
            **_start(case, num_samples),
        )
    return found


def _of_levels(bits: Estimate, log_p: LogProb, case: Case) -> Estimate:
    """Add log₂ L to bits per dimension of a density for data with L levels.

    The density of a uniform step of width 1/L is L times its probability.
    """
    space = case.data.info[case.model.event_field]
    added = space.bits_of_density
    if log_p.measure == "mass" or not added:
        return bits
    levels = round(2**added)
    text = f"log₂ {levels} = {added:g} is added, since the data have {levels} levels in [0, 1]."
    ends = bits.interval and (bits.interval[0] + added, bits.interval[1] + added)
    notes = (*bits.notes, Note("levels-added", text))
    return replace(bits, value=bits.value + added, interval=ends, notes=notes)


def _start(case: Case, num_samples: int | None) -> dict[str, Any]:
    """Return rows that are not evaluated, for a model whose estimate starts at them."""
    if not isinstance(case.model, SupportsHeldOutRows):
        return {}
    num = case.model.num_held_out(num_samples)
    others = case.unused_rows(num) if num else None
    return {} if others is None else {"start": others["x"]}
