"""The modes of a known mixture that a model finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Note, Reference
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.resampling import mean_with_error
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.sampling import block_size
from genzoo.spec import Mixture

_NEVER = 1e-12
"""A smaller variance counts as zero."""


@dataclass(frozen=True, kw_only=True)
class ModeConfig(Config):
    """Mode coverage."""

    num_samples: Annotated[int, Bounds(1, 10**8)] = 2500
    """The number of samples; figures with other numbers are not comparable."""


class ModeCoverage(Metric[ModeConfig]):
    """The number of modes of the mixture that are found, and the share of samples of high quality.

    A sample has high quality within 3σ of the nearest mode, and a mode is found if it is nearest
    to at least one such sample. For the mixture itself in the plane, the share is 1 − exp(−9/2) =
    0.9889. The error of the number is its spread over other samples of the model, see
    `error_of_number`; it is 0 if every mode found has many samples. The references are the figures
    of data rows.

    | VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational Learning
    | (Srivastava, Valkov, Russell, Gutmann, Sutton, 2017)
    | PacGAN: The Power of Two Samples in Generative Adversarial Networks
    | (Lin, Khetan, Fanti, Oh, 2018)
    """

    Config = ModeConfig
    goals: ClassVar = {
        "modes": Goal("higher", "reference"),
        "high-quality-share": Goal("near", "reference"),
    }

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        if "x" not in data.info.mixture:
            return "the data do not come from a known mixture"
        return super().inapplicable_reason(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the number of modes and the share of high quality."""
        mixture, num = case.data.info.mixture["x"], self.config.num_samples
        size = block_size(case.model, num)
        counts = captured(case.drawn_for(case.rows(num), "mode coverage", size), mixture)
        provenance = {"batch_size": size}
        flags = (torch.arange(num) < counts.sum()).double()
        share = mean_with_error(flags, 1.0, "share")
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
    """Return the number of high-quality rows of ``x`` (N, *event_shape) at each mode, (M,).

    High quality is within 3σ of the nearest mode.
    """
    means = mixture.means.double().flatten(1)
    distance, mode = torch.cdist(x.double().flatten(1), means).min(1)
    return torch.bincount(mode[distance <= 3 * mixture.sigma], minlength=len(means))


def error_of_number(counts: Tensor, num: int) -> float:
    """Return the standard error of the number of modes found by ``num`` samples.

    Its variance is Σ (1 − p_m)ⁿ(1 − (1 − p_m)ⁿ) or, with n p_m = λ_m, Σ exp(−λ_m) − exp(−2 λ_m):
    the expected number of further modes that n further samples find. With Φ_c modes found by c
    samples, the series Φ₁ − Φ₂ + Φ₃ − … estimates it without bias but with a large variance.
    Smoothed by Euler's transformation of its first two terms it is ¾ Φ₁ − ¼ Φ₂, the root of whose
    expectation is within 14 % of the truth up to λ = 4. So that it is never negative, it is at
    least half of the variance that the shares found, c_m / n, would have. That variance alone
    gives two thirds of the spread, because it lacks the rare modes that were missed.

    | Estimating the Number of Unseen Species: How Many Words Did Shakespeare Know?
    | (Efron, Thisted, 1976)

    Arguments:
        counts: The number of samples at each mode, (M,).
        num: The number of samples.
    """
    once, twice = ((counts == c).sum().item() for c in (1, 2))
    lost = (1 - counts[counts > 0].double() / num) ** num
    variance = max(0.75 * once - 0.25 * twice, 0.5 * (lost * (1 - lost)).sum().item())
    return math.sqrt(variance) if variance > _NEVER else 0.0


def _note(counts: Tensor) -> Note:
    """Return the note with the total number of modes and the basis of the error."""
    present = counts[counts > 0]
    rarest = f"; the rarest that is found has {int(present.min())} samples" if len(present) else ""
    return Note("modes-in-all", f"Of {len(counts)}{rarest}.")
