"""The Fréchet distance of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.features import Compared, FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case
from genzoo.evaluation.resampling import halving_error
from genzoo.goal import Goal

NOTE = Note(
    "bias-of-n",
    "Too large by a bias that falls as 1/N. Held-out data have the same bias: compare only "
    "figures of equal numbers of samples.",
)


@dataclass(frozen=True, kw_only=True)
class FrechetConfig(FeatureConfig):
    """The Fréchet distance of features."""

    num_halvings: Annotated[int, Bounds(2, 10**5)] = 50
    """The number of random halvings of the rows, for the error."""


class FrechetFeatureDistance(FeatureMetric[FrechetConfig]):
    """‖m₁ − m₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½) of the features' means and covariances.

    It is not called FID, which is this distance for the features of one network. Its error is
    estimated from random halves of the rows of both sides, by `halving_error`; it does not include
    the bias. The reference is the distance of held-out rows.

    | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium
    | (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)
    """

    Config = FrechetConfig
    goals: ClassVar = {"frechet-feature-distance": Goal("lower", "reference")}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the distance of the samples."""
        compared = self.compared(case)
        figure = frechet(compared, self.config.num_halvings, case.generator.initial_seed())
        return {f"frechet-feature-distance[{compared.provenance['extractor']}]": figure}


def frechet(compared: Compared, num_halvings: int, seed: int) -> Estimate:
    """Return the distance of samples and reference, with its error and reference value."""
    x, y = compared.reference, compared.samples
    error = halving_error(frechet_distance, x, y, num_halvings, seeds.generator(seed))
    return Estimate(
        value=frechet_distance(x, y),
        std_error=error,
        kind="stochastic estimate",
        unit="",
        num_samples=len(y),
        notes=(NOTE,),
        reference=Reference(frechet_distance(x, compared.held_out), "held-out data"),
        provenance={**compared.provenance, "halvings": num_halvings},
    )


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return the distance of features ``x`` (N, D) and ``y`` (M, D), computed in float64.

    (C₁C₂)^½ has the same trace as the symmetric matrix (C₁^½ C₂ C₁^½)^½.
    """
    x, y = x.double(), y.double()
    C1, C2 = x.T.cov(), y.T.cov()
    root = _root(C1)
    overlap = torch.linalg.eigvalsh(root @ C2 @ root).clamp(min=0).sqrt().sum()
    shift = (x.mean(0) - y.mean(0)).square().sum()
    return float(shift + C1.trace() + C2.trace() - 2 * overlap)


def _root(C: Tensor) -> Tensor:
    """Return the symmetric square root of a covariance (D, D)."""
    values, vectors = torch.linalg.eigh(C)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
