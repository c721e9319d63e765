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
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.resampling import mean_with_error
from genzoo.model import Model
from genzoo.sampling import block_size
from genzoo.spec import Mixture

_NEVER = 1e-12
"""A variance below this is that of a number which no other samples would change."""


@dataclass(frozen=True, kw_only=True)
class ModeConfig(Config):
    """Mode coverage."""

    num_samples: Annotated[int, Bounds(1, 10**8)] = 2500
    """How many samples are drawn; figures of other numbers are not to be compared."""


class ModeCoverage(Metric):
    """How many modes of the mixture are found, and the share of samples of high quality.

    A sample is of high quality within 3σ of the nearest mode, and a mode is found where it is the
    nearest of one such sample or more. Of the mixture itself in the plane the share is
    1 − exp(−9/2) = 0.9889. The error of the number is its spread over other samples of the model,
    see `error_of_number`; it is 0 where every mode that is found has many of them, as other
    samples find the same ones. The references are the figures of data rows.

    | VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning
    | (Srivastava, Valkov, Russell, Gutmann, Sutton, 2017)
    | PacGAN: The Power of Two Samples in Generative Adversarial Networks
    | (Lin, Khetan, Fanti, Oh, 2018)
    """

    Config = ModeConfig

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        """Say why the figures make no sense; empty where they do."""
        if "x" not in data.info.mixture:
            return "the data are not of a known mixture"
        return super().inapplicable_reason(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the number of modes and the share of high quality."""
        mixture, num = _mixture(case), self.config.num_samples
        counts = captured(_samples(case, num), mixture)
        provenance = {"batch_size": block_size(case.model, num)}
        share = mean_with_error(_flags(counts, num), 1.0, "share")
        num_data = min(num, len(case.batch["x"]))
        real = captured(case.rows(num_data)["x"], mixture)
        modes = Estimate(
            value=float((counts > 0).sum()),
            std_error=error_of_number(counts, num),
            kind="stochastic estimate",
            unit="modes",
            num_samples=num,
            notes=(_note(counts),),
            reference=Reference(float((real > 0).sum()), "held-out data"),
            provenance=provenance,
        )
        reference = Reference(real.sum().item() / num_data, "held-out data")
        return {
            "modes": modes,
            "high-quality-share": replace(share, reference=reference, provenance=provenance),
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
        condition=case.model.conditions_of(case.rows(num)),
        sampler=case.sampler,
        seed=seeds.derive_seed(case.seed, "mode coverage"),
        batch_size=block_size(case.model, num),
    )
    return x.cpu()


def _flags(counts: Tensor, num: int) -> Tensor:
    return (torch.arange(num) < counts.sum()).double()


def error_of_number(counts: Tensor, num: int) -> float:
    """Return the standard error of the number of modes that ``num`` samples find.

    Its variance is Σ (1 − p_m)ⁿ(1 − (1 − p_m)ⁿ) or, with n p_m = λ_m, Σ exp(−λ_m) − exp(−2 λ_m):
    how many further modes n further samples are expected to find. Of Φ_c modes that c samples
    found, the series Φ₁ − Φ₂ + Φ₃ − … estimates it without bias and with a large variance;
    smoothed by Euler's transformation of its first two terms it is ¾ Φ₁ − ¼ Φ₂, the root of whose
    expectation is within 14 % of the truth up to λ = 4. So that it is never negative, it is at
    least half of the variance that the shares found, c_m / n, would have. All of that variance
    claims two thirds of the spread, since the rare modes that were missed are not in it.

    | Estimating the Number of Unseen Species: How Many Words Did Shakespeare Know?
    | (Efron, Thisted, 1976)

    Arguments:
        counts: How many samples each mode has, (M,).
        num: How many samples were drawn.
    """
    once, twice = ((counts == c).sum().item() for c in (1, 2))
    lost = (1 - counts[counts > 0].double() / num) ** num
    variance = max(0.75 * once - 0.25 * twice, 0.5 * (lost * (1 - lost)).sum().item())
    return math.sqrt(variance) if variance > _NEVER else 0.0


def _note(counts: Tensor) -> Note:
    """Return the note that says of how many modes, and what the error rests on."""
    present = counts[counts > 0]
    rarest = f"; the rarest that is found has {int(present.min())} samples" if len(present) else ""
    return Note("modes-in-all", f"Of {len(counts)}{rarest}.")


def _mixture(case: Case) -> Mixture:
    if "x" not in case.data.info.mixture:
        raise DataError(f"{case.data.name} is of no known mixture, whose modes could be counted.")
    return case.data.info.mixture["x"]
