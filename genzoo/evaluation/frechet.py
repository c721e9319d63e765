"""The Fréchet distance of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from genzoo import seeds
from genzoo.config import Bounds
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.features import Compared, FeatureConfig, FeatureMetric
from genzoo.evaluation.metric import Case

NOTE = Note(
    "bias-of-n",
    "Too large by a bias that falls as 1/N. Held-out data have the same bias: compare only "
    "figures of equal numbers of samples.",
)


@dataclass(frozen=True, kw_only=True)
class FrechetConfig(FeatureConfig):
    """The Fréchet distance of features."""

    num_bootstraps: Annotated[int, Bounds(2, 10**5)] = 50
    """Resamplings of the rows, whose spread is the error."""


class FrechetFeatureDistance(FeatureMetric):
    """‖m₁ − m₂‖² + tr(C₁ + C₂ − 2(C₁C₂)^½) of the features' means and covariances.

    It is never called FID, which is this distance of one network's features alone. Its error is
    the spread over resamplings of both sides' rows. The reference is the distance of held-out
    rows.

    | GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium
    | (Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, 2017)
    """

    Config = FrechetConfig

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the distance of the samples."""
        compared = self.compared(case)
        figure = frechet(compared, self.config.num_bootstraps, case.generator.initial_seed())
        return {f"frechet-feature-distance[{compared.receipt['extractor']}]": figure}


def frechet(compared: Compared, num_bootstraps: int, seed: int) -> Estimate:
    """Return the distance of samples from the reference, with error and reference value."""
    x, y = compared.reference, compared.samples
    return Estimate(
        value=frechet_distance(x, y),
        std_error=_spread(x, y, num_bootstraps, seeds.generator(seed)),
        kind="stochastic estimate",
        unit="",
        num_samples=len(y),
        notes=(NOTE,),
        reference=Reference(frechet_distance(x, compared.held_out), "held-out data"),
        receipt={**compared.receipt, "bootstraps": num_bootstraps},
    )


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return the distance of features ``x`` (N, D) and ``y`` (M, D), computed in float64."""
    # torchmetrics' own class, whose network is replaced by one that passes our features on: it
    # needs neither torch-fidelity nor torchvision then.
    measured = FrechetInceptionDistance(feature=_Passed(x.shape[1]))
    measured.update(x.double(), real=True)
    measured.update(y.double(), real=False)
    return float(measured.compute())


def _spread(x: Tensor, y: Tensor, num: int, generator: torch.Generator) -> float:
    values = [
        frechet_distance(_resampled(x, generator), _resampled(y, generator)) for _ in range(num)
    ]
    return float(torch.tensor(values, dtype=torch.float64).std())


def _resampled(x: Tensor, generator: torch.Generator) -> Tensor:
    return x[torch.randint(len(x), (len(x),), generator=generator)]


class _Passed(nn.Module):
    """Features as they are."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x
