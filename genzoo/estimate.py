"""Figures that say what they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

EstimateKind = Literal["exact", "lower bound", "upper bound", "stochastic estimate"]
Unit = Literal["nats", "bits/dim"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its kind, unit and error.

    Arguments:
        value: The figure.
        std_error: One standard error of ``value``, from the finite number of examples and from
            the estimator together; 0 where there is none.
        kind: What the figure is to the quantity it stands for, for each example: "exact" says
            that it is that quantity; the bounds hold in expectation.
        unit: "nats" or "bits/dim".
        num_samples: How many examples, or draws of the estimator, stand behind it.
        bracket: Two ends that the truth is thought to lie between, from estimators that err to
            opposite sides; None where there is only one.
        notes: What a reader must know, in sentences: "Unreliable: ..." first of all.
    """

    value: float
    std_error: float
    kind: EstimateKind
    unit: Unit
    num_samples: int
    bracket: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def per_dimension(self, num_dimensions: int) -> Estimate:
        """Return a log-likelihood in nats as bits per dimension, −value / (D ln 2)."""
        scale = -1 / (num_dimensions * math.log(2))
        swap: dict[Any, Any] = {"lower bound": "upper bound", "upper bound": "lower bound"}
        ends = self.bracket and (self.bracket[1] * scale, self.bracket[0] * scale)
        return replace(
            self,
            value=self.value * scale,
            std_error=-self.std_error * scale,
            kind=swap.get(self.kind, self.kind),
            unit="bits/dim",
            bracket=ends,
        )

    def __str__(self) -> str:
        ends = f", between {self.bracket[0]:.2f} and {self.bracket[1]:.2f}" if self.bracket else ""
        notes = "".join(f" {note}" for note in self.notes)
        return f"{self.value:.2f} ± {self.std_error:.2f} {self.unit} ({self.kind}{ends}).{notes}"


def mean_of(
    values: Tensor, kind: EstimateKind, *, shared_error: float = 0.0, notes: tuple[str, ...] = ()
) -> Estimate:
    """Average per-example figures, of shape (N,), in nats.

    Arguments:
        values: One figure for each example.
        kind: The kind of each figure.
        shared_error: A standard error that all figures share, such as that of log Z; it does
            not shrink with N and is added in quadrature.
        notes: Passed on.
    """
    num = len(values)
    spread = values.double().std().item() / math.sqrt(num) if num > 1 else math.inf
    return Estimate(
        value=values.double().mean().item(),
        std_error=math.hypot(spread, shared_error),
        kind=kind,
        unit="nats",
        num_samples=num,
        notes=notes,
    )
