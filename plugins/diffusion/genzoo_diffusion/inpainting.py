"""Inpainting: draws a part of x given the rest."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import ConfigError, NotFiniteSampleError, evaluating
from genzoo_diffusion.ancestral import DDPMConfig, DDPMSampler
from genzoo_diffusion.guidance import Conditioned
from genzoo_diffusion.levels import Level, Predictor

if TYPE_CHECKING:
    from genzoo_diffusion.data_states import DataStates

CORRECTIONS = 4
"""The average number of Langevin steps for each reverse step."""
STEP_SIZE = 0.3
"""δ, the step size. Larger steps mix faster, but increase the noise variance of the state by a
factor of up to 1 / (1 − δ / 2)."""
LEAST_SNR = 0.1
"""The minimum signal-to-noise ratio for Langevin steps."""


@torch.no_grad()
def inpaint(
    model: DataStates,
    x: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    num_inference_steps: int,
    condition: Any,
) -> Tensor:
    """Return ``x`` with values drawn where ``mask`` is true; see `DataStates.inpaint`.

    Rows and mask come from `DataStates.checked_inpainting`.
    """
    if num_inference_steps < 1:
        raise ConfigError(f"num_inference_steps must be at least 1, got {num_inference_steps}.")
    steps = min(num_inference_steps, model.num_times or num_inference_steps)
    sampler = DDPMSampler(DDPMConfig(num_inference_steps=steps))
    levels = sampler.levels(model)
    denoiser = Conditioned(model, model.signal(condition, len(x)))
    predictor = Predictor(model, denoiser, generator, sampler.clips(model))
    corrected = Corrected(predictor, model.state(x), ~mask, levels)
    with evaluating(model):
        start = corrected(model.standard_normal(len(x), generator), levels[0])
        states = sampler.steps(predictor, start, levels, corrected)
        found = model.to_data(deque(states, maxlen=1)[0])
    if not bool(torch.isfinite(found[mask]).all()):
        raise NotFiniteSampleError(
            "An inpainted value is not finite. The weights may be damaged, or training may have "
            "diverged."
        )
    return torch.where(mask, found, x)


class Corrected:
    """Puts the known part back into a state, and corrects the rest by Langevin steps.

    At the level x = a x_0 + s ε the known part is k = a k_0 + s ε, with new noise ε for each call
    of the network. The rest u follows Langevin dynamics,

        u ← u + δ (a û_0 − u) + √(2δ) s z,  z ~ N(0, I),

    which leaves p(u | k) invariant up to O(δ), since (a x̂_0 − x) / s² is the gradient of
    log p(x). As s → 0 this becomes p(u | k_0). Without Langevin steps u depends on k only through
    one reverse step per time, and the draw is biased.

    | Score-Based Generative Modeling through Stochastic Differential Equations
    | (Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, 2021), predictor and corrector
    | RePaint: Inpainting using Denoising Diffusion Probabilistic Models
    | (Lugmayr et al., 2022), for repeated noising and denoising at one level

    Arguments:
        predictor: The predictions.
        given: States without noise (B, *state_shape), of which the known part is used.
        known: Where they are known, bool, of the same shape.
        levels: The visited levels, to that of the data.
    """

    def __init__(
        self, predictor: Predictor, given: Tensor, known: Tensor, levels: Sequence[Level]
    ) -> None:
        self.predictor, self.given, self.known = predictor, given, known
        visited = [level for level in levels if level.s > 0]
        self.number = dict(zip(visited, corrections(visited), strict=True))

    def __call__(self, state: Tensor, level: Level) -> Tensor:
        """Return a corrected state at a level; the data unchanged."""
        if level.s == 0:
            return state
        x = self._held(state, level)
        for _ in range(self.number[level]):
            x = self._held(self._moved(x, level), level)
        return x

    def _held(self, state: Tensor, level: Level) -> Tensor:
        """Return a state whose known part is the given one with noise."""
        noisy = level.a * self.given + level.s * self.predictor.noise(state)
        return torch.where(self.known, noisy, state)

    def _moved(self, x: Tensor, level: Level) -> Tensor:
        """Return the state after a Langevin step."""
        drift = STEP_SIZE * (level.a * self.predictor.x_0(x, level) - x)
        return x + drift + math.sqrt(2 * STEP_SIZE) * level.s * self.predictor.noise(x)


def corrections(levels: Sequence[Level]) -> list[int]:
    """Return the number of Langevin steps at each level, `CORRECTIONS` on average.

    They are spread evenly over log SNR from `LEAST_SNR` on, so that every scale of the data gets
    the same number: for a conditional variance c, a step covers the share δ s² / (c + s²) of the
    distance.
    """
    snr = torch.tensor([(level.a / level.s) ** 2 for level in levels], dtype=torch.float64)
    log_snr = snr.clamp_min(LEAST_SNR).log()
    share = (log_snr - log_snr[0]) / (log_snr[-1] - log_snr[0]).clamp_min(1e-12)
    made = (CORRECTIONS * len(levels) * share).round().long()
    return made.diff(prepend=made[:1]).tolist()
