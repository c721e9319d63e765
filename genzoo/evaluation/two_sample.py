"""The two-sample test by nearest neighbours."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from genzoo.estimate import Estimate, Note, Reference, mean_of
from genzoo.evaluation.distances import nearest, own_radii
from genzoo.evaluation.features import FeatureMetric
from genzoo.evaluation.metric import Case

_NOTE = Note(
    "ideal-half",
    "0.5 is the ideal: higher where samples and data are told apart, lower where samples repeat "
    "the data.",
)


class TwoSample(FeatureMetric):
    """The leave-one-out accuracy with which the nearest neighbour tells samples from data.

    Each row of both sets, of which there are as many, is given the set of its nearest other row.
    Where both sets have a nearest one the row counts one half, so that discrete data, whose rows
    coincide, are not judged by the order in which they stand. The reference is that of held-out
    rows.

    | Revisiting Classifier Two-Sample Tests (Lopez-Paz, Oquab, 2017)
    | An Empirical Study on Evaluation Metrics of Generative Adversarial Networks
    | (Xu, Huang, Yuan, Guo, Sun, Wu, Weinberger, 2018)
    """

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the accuracy of the samples."""
        compared = self.compared(case)
        found = told_apart(compared.reference, compared.samples)
        held_out = told_apart(compared.reference, compared.held_out).mean().item()
        reference = Reference(held_out, "held-out data")
        figure = mean_of(found, "stochastic estimate", unit="share", notes=(_NOTE,))
        return {"two-sample": replace(figure, reference=reference, receipt=compared.receipt)}


def told_apart(x: Tensor, y: Tensor) -> Tensor:
    """Return for each row of ``x`` and ``y``, (N, D) each, whether its neighbour is of its set.

    Returns:
        1, 0, or one half for a tie, (2N,) float64.
    """
    own = torch.cat([own_radii(x, 1), own_radii(y, 1)])
    other = torch.cat([nearest(x, y), nearest(y, x)])
    return (own < other).double() + 0.5 * (own == other).double()
