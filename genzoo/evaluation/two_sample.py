"""The two-sample test with nearest neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.distances import nearest, own_radii
from genzoo.evaluation.features import FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case
from genzoo.evaluation.resampling import design_effects, mean_with_error
from genzoo.goal import Goal

_NOTE = Note(
    "ideal-half",
    "0.5 is the ideal: higher where samples and data are told apart, lower where samples repeat "
    "the data.",
)


class TwoSample(FeatureMetric[FeatureConfig]):
    """The leave-one-out accuracy of classifying samples and data by the nearest neighbour.

    Both sets have the same number of rows. Each row is assigned to the set of its nearest other
    row. If both sets have a nearest row, the row counts one half, so that the figure for discrete
    data, whose rows coincide, does not depend on their order. The reference is that of held-out
    rows. The error is that of independent rows times the root of the design effect, because two
    mutual nearest neighbours are right or wrong together.

    | Revisiting Classifier Two-Sample Tests (Lopez-Paz, Oquab, 2017)
    | An Empirical Study on Evaluation Metrics of Generative Adversarial Networks
    | (Xu, Huang, Yuan, Guo, Sun, Wu, Weinberger, 2018)
    """

    goals: ClassVar = {"two-sample": Goal("near", 0.5)}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the accuracy of the samples."""
        compared = self.compared(case)
        x, y = compared.reference, compared.samples
        generator = seeds.generator(case.generator.initial_seed())
        effects, made = design_effects(lambda *parts: [told_apart(*parts)], x, y, generator)
        figure = mean_with_error(told_apart(x, y), effects.item(), "share")
        held_out = told_apart(x, compared.held_out).mean().item()
        reference = Reference(held_out, "held-out data")
        provenance = {**compared.provenance, **made}
        share = replace(figure, notes=(_NOTE,), reference=reference, provenance=provenance)
        return {"two-sample": share}


def told_apart(x: Tensor, y: Tensor) -> Tensor:
    """Return for each row of ``x`` and ``y``, (N, D) each, whether its neighbour is in its set.

    Returns:
        1, 0, or one half for a tie, (2N,) float64.
    """
    own = torch.cat([own_radii(x, 1), own_radii(y, 1)])
    other = torch.cat(nearest(x, y))
    return (own < other).double() + 0.5 * (own == other).double()
