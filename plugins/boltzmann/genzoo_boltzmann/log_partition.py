"""An estimate of log Z, and the likelihoods of rows that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from genzoo.plugin import Estimate, LogProb, Note
from genzoo_boltzmann.annealing import effective_sample_size

Measure = Literal["mass", "density"]


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z, in nats.

    Arguments:
        estimate: The value with its error, kind, interval and notes.
        log_weights: The chains' log importance weights of Z, float64; empty where exact.
    """

    estimate: Estimate
    log_weights: Tensor

    @property
    def effective_sample_size(self) -> float:
        """(Σw)² / Σw², at most the number of chains; infinite where exact."""
        return effective_sample_size(self.log_weights)

    def of_rows(self, negative_energy: Tensor, measure: Measure = "mass") -> LogProb:
        """Return log p(x) = −F(x) − log Z of rows, from −F(x), (N,).

        The interval is reversed, because a log Z that is too high makes log p(x) too low.

        Arguments:
            negative_energy: −F(x), (N,).
            measure: Whether p is a mass or a density.
        """
        log_z = self.estimate
        ends = log_z.interval
        values = negative_energy - log_z.value
        return LogProb(
            values=values,
            kind=log_z.kind,
            measure=measure,
            shared_error=log_z.std_error,
            interval=ends and (log_z.value - ends[1], log_z.value - ends[0]),
            notes=(*_too_likely(values, log_z, measure), *log_z.notes),
        )


def _too_likely(values: Tensor, log_z: Estimate, measure: Measure) -> tuple[Note, ...]:
    """Return a note on a row whose probability is above 1 by more than the error of log Z."""
    if measure == "density" or log_z.kind == "exact" or not (values > 3 * log_z.std_error).any():
        return ()
    text = f"a row would have log p = {values.max().item():.2f} > 0, so log Z is too low."
    return (Note("log-p-positive", text, unreliable=True),)
