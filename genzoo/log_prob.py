"""Log-probabilities of rows, with their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo import process_group
from genzoo.errors import ConfigError
from genzoo.estimate import Estimate, EstimateKind, Note, mean_of
from genzoo.progress import progress_bar

Measure = Literal["mass", "density"]
"""A probability of discrete values, or a density of real ones, in the units of x."""

_DENSITY = Note("density", "A density: it changes with the unit of x and may exceed 0.")


@dataclass(frozen=True, kw_only=True, eq=False)
class LogProb:
    """log p(x) of each row, or a bound or an estimate of it.

    Arguments:
        values: One value for each row, (N,), in nats.
        kind: The relation of the values to log p(x): "exact" means equal; bounds hold in
            expectation.
        measure: Whether p is a probability mass or a density.
        std_errors: The standard error of the estimator for each value, (N,); None if there is no
            estimator, or its error is not known.
        shared_error: The standard error of a term that all values share, such as log Z, in nats.
        interval: The least and the greatest number that may have to be added to all values
            together, from estimators that err to opposite sides; None if there is only one
            estimator.
        notes: Remarks for readers.
        provenance: The settings of the values, such as a number of draws.

    Raises:
        ConfigError: The values are not one-dimensional, or the errors have another shape.
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

        The error combines the rows' standard deviation over √N, which contains the estimator's
        error of each row, with the shared error.

        Raises:
            DataError: There are no rows.
            NotFiniteFigureError: A value is NaN or +infinity.
        """
        found = mean_of(self.values.detach(), self.kind, shared_error=self.shared_error)
        ends = self.interval and (found.value + self.interval[0], found.value + self.interval[1])
        notes = self.notes if self.measure == "mass" else (*self.notes, _DENSITY)
        return replace(found, interval=ends, notes=notes, provenance=dict(self.provenance))


def by_blocks(
    log_prob: Callable[[slice], Tensor], num: int, size: int, *, independent: bool = False
) -> Tensor:
    """Return the values of ``num`` rows, (num,), in blocks if no gradients are needed.

    Without gradients, as in an evaluation, blocks have ``size`` rows and the values are float64 on
    the CPU, so memory does not grow with the number of rows. With gradients enabled, all rows are
    one block, whose values keep their graph, device and dtype.

    Arguments:
        log_prob: Returns the values of some rows, (B,).
        num: The number of rows.
        size: The number of rows per block.
        independent: Whether a block depends on its rows only: it draws nothing, and writes nothing
            but its result. Then the processes of a launcher divide the blocks of an evaluation.
    """
    if torch.is_grad_enabled():
        return log_prob(slice(0, num))
    values = torch.empty(num, dtype=torch.float64)
    blocks = [slice(first, min(first + size, num)) for first in range(0, num, size)]
    shared = independent and process_group.num_processes() > 1
    own = process_group.share_of(len(blocks)) * size if shared else num
    with progress_bar("Log-likelihood", "row", min(own, num)) as shown:

        def block(k: int) -> Tensor:
            found = log_prob(blocks[k]).double().cpu()
            shown.update(blocks[k].stop - blocks[k].start)
            return found

        if shared:
            return torch.cat(process_group.map_blocks(block, len(blocks)) or [values])
        for k, rows in enumerate(blocks):
            values[rows] = block(k)
    return values
