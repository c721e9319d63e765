"""How far samples are from rows of the same conditions, around the circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from genzoo.plugin import Case, Config, Estimate, Goal, Metric, Reference, mean_of
from genzoo_angle.angle import Angle


@dataclass(frozen=True, kw_only=True)
class CircularErrorConfig(Config):
    """The circular error."""


class CircularError(Metric[CircularErrorConfig]):
    """The mean over rows of 1 − cos(x̂ − x): x̂ is a sample that is given the row's conditions.

    It is 0 where each sample is its row, 1 where they have nothing to do with each other, and 2
    where they are opposite. The reference has another row of the data in the sample's place, so
    it knows nothing of the conditions.
    """

    Config = CircularErrorConfig
    spaces = (Angle,)
    min_examples = 2
    goals: ClassVar = {"circular-error": Goal("lower", 0.0)}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the error, an estimate from the samples drawn."""
        rows = case.held_out["x"]
        others = _errors(case.reference["x"][: len(rows)], rows).mean().item()
        reference = Reference(others, "other rows")
        errors = _errors(case.samples, rows)
        figure = mean_of(errors, "stochastic estimate", unit="", reference=reference)
        return {"circular-error": figure}


def _errors(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean of 1 − cos(x − y) of each row of angles (N, *shape), (N,)."""
    return (1 - (x.double() - y.double()).cos()).flatten(1).mean(1)
