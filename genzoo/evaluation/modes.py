"""Which modes of a known mixture a model finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.errors import DataError
from genzoo.estimate import Estimate, Note, Reference, mean_of
from genzoo.evaluation.conditions import condition_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel
from genzoo.sampling import block_size
from genzoo.spec import Mixture


@dataclass(frozen=True, kw_only=True)
class ModeConfig(Config):
    """Mode coverage."""

    num_samples: Annotated[int, Bounds(1, 10**8)] = 2500
    """How many samples are drawn; figures of other numbers are not to be compared."""


class ModeCoverage(Metric):
    """How many modes of the mixture are found, and the share of samples of high quality.

    A sample is of high quality within 3σ of the nearest mode, and a mode is found where it is the
    nearest of one such sample or more. Of the mixture itself in the plane the share is
    1 − exp(−9/2) = 0.9889. The error of the number is its spread over other samples from the same
    shares: Var ≈ Σ q_m(1 − q_m), q_m = (1 − c_m / n)ⁿ for a mode of c_m samples. The references
    are the figures of data rows.

    | VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning
    | (Srivastava, Valkov, Russell, Gutmann, Sutton, 2017)
    | PacGAN: The Power of Two Samples in Generative Adversarial Networks
    | (Lin, Khetan, Fanti, Oh, 2018)
    """

    Config = ModeConfig

    def inapplicable(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the figures make no sense; empty where they do."""
        if data.spec.mixture is None:
            return "the data are not of a known mixture"
        return super().inapplicable(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the number of modes and the share of high quality."""
        mixture, num = _mixture(case), self.config.num_samples
        counts = captured(_samples(case, num), mixture)
        receipt = {"batch_size": block_size(case.model, num)}
        num_data = min(num, len(case.batch["x"]))
        real = captured(case.rows(num_data)["x"], mixture)
        share = mean_of(_flags(counts, num), "stochastic estimate", unit="share")
        modes = Estimate(
            value=float((counts > 0).sum()),
            std_error=_error_of_number(counts, num),
            kind="stochastic estimate",
            unit="modes",
            num_samples=num,
            notes=(Note("modes-in-all", f"Of {len(counts)}."),),
            reference=Reference(float((real > 0).sum()), "held-out data"),
            receipt=receipt,
        )
        reference = Reference(real.sum().item() / num_data, "held-out data")
        return {
            "modes": modes,
            "high-quality-share": replace(share, reference=reference, receipt=receipt),
        }


def captured(x: Tensor, mixture: Mixture) -> Tensor:
    """Return how many high-quality rows of ``x`` (N, *event_shape) each mode is nearest to, (M,).

    High quality is within 3σ of the nearest mode.
    """
    means = mixture.means.double().flatten(1)
    distance, mode = torch.cdist(x.double().flatten(1), means).min(1)
    return torch.bincount(mode[distance <= 3 * mixture.sigma], minlength=len(means))


def _samples(case: Case, num: int) -> Tensor:
    """Draw the protocol's samples, given the conditions of as many rows."""
    x = case.model.sample(
        num,
        condition=condition_of(case.model, case.rows(num)),
        sampler=case.sampler,
        seed=seeds.derive(case.seed, "mode coverage"),
        batch_size=block_size(case.model, num),
    )
    return x.cpu()


def _flags(counts: Tensor, num: int) -> Tensor:
    return (torch.arange(num) < counts.sum()).double()


def _error_of_number(counts: Tensor, num: int) -> float:
    lost = (1 - counts[counts > 0].double() / num) ** num
    return math.sqrt((lost * (1 - lost)).sum().item())


def _mixture(case: Case) -> Mixture:
    if case.data.spec.mixture is None:
        raise DataError(f"{case.data.name} is of no known mixture, whose modes could be counted.")
    return case.data.spec.mixture
