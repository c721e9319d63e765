"""Figures that say what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

EstimateKind = Literal["exact", "lower bound", "upper bound", "stochastic estimate"]
Unit = Literal["nats", "bits/dim", "", "share", "modes", "states"]
"""The last three count: a part of one, modes found, states of a chain; empty where a figure has
no unit of its own, such as a squared distance of features."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its kind, unit and error.

    Arguments:
        value: The figure.
        std_error: One standard error of ``value``, from the finite number of examples and from
            the estimator together; 0 where there is none.
        kind: What the figure is to the quantity it stands for, for each example: "exact" says
            that it is that quantity; the bounds hold in expectation.
        unit: One of `Unit`.
        num_samples: How many examples, or draws of the estimator, stand behind it.
        bracket: Two ends that the truth is thought to lie between, from estimators that err to
            opposite sides; None where there is only one.
        notes: What a reader must know, in sentences: "Unreliable: ..." first of all.
        floor: What the data come to, judged against other data in the model's place: the best
            that can be hoped for; None where there is no such thing.
        receipt: What this figure alone was made with, such as an extractor and its hash.
    """

    value: float
    std_error: float
    kind: EstimateKind
    unit: Unit
    num_samples: int
    bracket: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    floor: float | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)

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
        return " ".join([f"{self.brief()}.", *self.notes])

    def brief(self) -> str:
        """Return the figure with its error, unit, kind, bracket and floor, without its notes."""
        digits = _digits(self.std_error)
        ends = [f"{end:.{digits}f}" for end in self.bracket or ()]
        facts = [self.kind, *([f"between {ends[0]} and {ends[1]}"] if ends else [])]
        if self.floor is not None:
            facts.append(f"data against data {self.floor:.{digits}f}")
        value = f"{self.value:.{digits}f} ± {self.std_error:.{digits}f} {self.unit}".rstrip()
        return f"{value} ({', '.join(facts)})"


def _digits(error: float) -> int:
    """Return how many decimals show two digits of an error; two at least."""
    small = 0 < error < 0.1
    return min(8, 1 - math.floor(math.log10(error))) if small else 2


def mean_of(
    values: Tensor,
    kind: EstimateKind,
    *,
    unit: Unit = "nats",
    shared_error: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Estimate:
    """Average per-example figures, of shape (N,).

    Arguments:
        values: One figure for each example.
        kind: The kind of each figure.
        unit: Their unit.
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
        unit=unit,
        num_samples=num,
        notes=notes,
    )
