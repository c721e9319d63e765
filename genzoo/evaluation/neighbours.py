"""Precision, recall, density and coverage of samples and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds
from genzoo.estimate import Estimate, Reference, Unit
from genzoo.evaluation.distances import own_radii, squared_distances
from genzoo.evaluation.features import FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case
from genzoo.evaluation.resampling import design_effects, mean_with_error
from genzoo.goal import Goal


@dataclass(frozen=True, kw_only=True)
class NeighbourConfig(FeatureConfig):
    """Precision, recall, density and coverage."""

    k: Annotated[int, Bounds(1, 10**4)] = 5
    """The number k of the neighbour that a ball reaches to."""


class PrecisionRecall(FeatureMetric[NeighbourConfig]):
    """Shares of samples in balls of data, and of data in balls of samples.

    The ball of a row reaches to the k-th neighbour in its own set, its edge included. For equal
    laws E[density] = 1 and E[coverage] = 1 − 2^(−k) with as many samples as data, N → ∞.
    The references are the figures of held-out rows in place of the samples. The errors are those
    of the rows that are averaged, times what the balls of both sets, which rows share, add to
    them: the root of the design effect.

    | Improved Precision and Recall Metric for Assessing Generative Models
    | (Kynkäänniemi, Karras, Laine, Lehtinen, Aila, 2019)
    | Reliable Fidelity and Diversity Metrics for Generative Models
    | (Naeem, Oh, Uh, Choi, Yoo, 2020)
    """

    Config = NeighbourConfig
    goals: ClassVar = {
        "precision": Goal("higher", "reference"),
        "recall": Goal("higher", "reference"),
        "density": Goal("near", 1.0),
        "coverage": Goal("higher", "reference"),
    }

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the four figures of the samples."""
        compared = self.compared(case)
        k = min(self.config.k, len(compared.reference) - 1)
        counts = count(compared.reference, compared.samples, k)
        held_out = count(compared.reference, compared.held_out, k)
        generator = seeds.generator(case.generator.initial_seed())
        effects, made = design_effects(_values(k), compared.reference, compared.samples, generator)
        provenance = {**compared.provenance, "k": k, **made}
        return {
            name: _figure(name, effect, counts, held_out, provenance)
            for name, effect in zip(counts, effects.tolist(), strict=True)
        }


def count(data: Tensor, samples: Tensor, k: int) -> dict[str, Tensor]:
    """Return the values whose means are the figures: one per row, float64, by name.

    - precision: whether a sample lies in the ball of any datum, (M,);
    - recall: whether a datum lies in the ball of any sample, (N,);
    - density: the number of data balls that contain a sample, over k, (M,);
    - coverage: whether the ball of a datum contains any sample, (N,).

    Distances are computed in blocks; 10,000 × 10,000 rows take about 200 MB.

    Arguments:
        data: Features of data, (N, D).
        samples: Features of samples, (M, D).
        k: The number of the neighbour that a ball reaches to; less than N and M.
    """
    around_data, around_samples = own_radii(data, k), own_radii(samples, k)
    balls = torch.zeros(len(samples), dtype=torch.int64, device=data.device)
    recall, coverage = [], []
    for first, squared in squared_distances(data, samples):
        inside = squared <= around_data[first : first + len(squared), None]
        balls += inside.sum(0)
        coverage.append(inside.any(1))
        recall.append((squared <= around_samples).any(1))
    return {
        "precision": (balls > 0).double(),
        "recall": torch.cat(recall).double(),
        "density": balls.double() / k,
        "coverage": torch.cat(coverage).double(),
    }


def _values(k: int) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """Return a function of data and samples that computes the four kinds of values."""

    def values(data: Tensor, samples: Tensor) -> list[Tensor]:
        return list(count(data, samples, min(k, len(data) - 1, len(samples) - 1)).values())

    return values


def _figure(
    name: str,
    effect: float,
    counts: Mapping[str, Tensor],
    held_out: Mapping[str, Tensor],
    provenance: Mapping[str, Any],
) -> Estimate:
    """Return the mean of one of the four; density is not a share, because it may exceed 1."""
    unit: Unit = "" if name == "density" else "share"
    figure = mean_with_error(counts[name], effect, unit)
    reference = Reference(held_out[name].mean().item(), "held-out data")
    return replace(figure, reference=reference, provenance=provenance)
