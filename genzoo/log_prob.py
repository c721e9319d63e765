"""Log-probabilities of rows, with what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo.errors import ConfigError
from genzoo.estimate import Estimate, EstimateKind, Note, mean_of

Measure = Literal["mass", "density"]
"""A probability of discrete values, or a density of real ones, in the units of x."""

_DENSITY = Note("density", "A density: it changes with the unit of x and may exceed 0.")


@dataclass(frozen=True, kw_only=True, eq=False)
class LogProb:
    """log p(x) of each row, or what stands for it.

    Arguments:
        values: One value for each row, (N,), in nats.
        kind: What each value is to log p(x): "exact" says that it is that quantity; the bounds
            hold in expectation.
        measure: Whether p is a probability mass or a density.
        std_errors: The standard error that the estimator gives each value, (N,); None where there
            is no estimator, or its error is not known.
        shared_error: The standard error of what all values share, such as that of log Z, in nats.
        interval: What may have to be added to all values together: the least and the greatest
            number, from estimators that err to opposite sides. None where there is only one.
        notes: What a reader must know.
        provenance: What the values were made with, such as a number of draws.

    Raises:
        ConfigError: The values are not of one dimension, or the errors are not as many.
    """

    values: Tensor
    kind: EstimateKind
    measure: Measure
    std_errors: Tensor | None = None
    shared_error: float = 0.0
    interval: tuple[float, float] | None = None
    notes: tuple[Note, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shapes."""
        errors = self.values if self.std_errors is None else self.std_errors
        if self.values.ndim != 1 or errors.shape != self.values.shape:
            raise ConfigError(
                "There is one log-probability for each row, (N,); got values of "
                f"{tuple(self.values.shape)}, errors of {tuple(errors.shape)}. Sum over a row."
            )

    def __len__(self) -> int:
        return len(self.values)

    def mean(self) -> Estimate:
        """Return the mean over rows in nats, with its error and notes.

        The error holds the rows' spread over √N, in which the estimator's error of each row is
        contained, and the shared one.

        Raises:
            DataError: There are no rows.
            NotFiniteFigureError: A value is NaN or +infinity.
        """
        found = mean_of(self.values.detach(), self.kind, shared_error=self.shared_error)
        ends = self.interval and (found.value + self.interval[0], found.value + self.interval[1])
        notes = self.notes if self.measure == "mass" else (*self.notes, _DENSITY)
        return replace(found, interval=ends, notes=notes, provenance=dict(self.provenance))


def by_blocks(log_prob: Callable[[slice], Tensor], num: int, size: int) -> Tensor:
    """Return the values of ``num`` rows, (num,), worked through as memory and gradients need it.

    Without gradients, as in an evaluation, rows are taken ``size`` at a time and the values are
    float64 on the CPU, so that memory does not grow with the rows. With gradients enabled all
    rows are one block, whose values keep their graph, device and type.

    Arguments:
        log_prob: Returns the values of some rows, (B,).
        num: How many rows there are.
        size: How many are taken at once.
    """
    if torch.is_grad_enabled():
        return log_prob(slice(0, num))
    values = torch.empty(num, dtype=torch.float64)
    for first in range(0, num, size):
        rows = slice(first, min(first + size, num))
        values[rows] = log_prob(rows).double().cpu()
    return values
