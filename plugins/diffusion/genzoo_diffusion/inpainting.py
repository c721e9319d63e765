"""Inpainting: draws a part of x given the rest."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import ConfigError, NotFiniteSampleError, evaluating
from genzoo_diffusion.grid import times
from genzoo_diffusion.guidance import Conditioned, Denoiser
from genzoo_diffusion.samplers import DDPMSampler
from genzoo_diffusion.schedule import NoiseSchedule

if TYPE_CHECKING:
    from genzoo_diffusion.ddpm import DDPM

CORRECTIONS = 4
"""The average number of Langevin steps for each reverse step."""
STEP_SIZE = 0.3
"""δ, the step size. Larger steps mix faster, but increase the noise variance of the state by a
factor of up to 1 / (1 − δ / 2)."""
LEAST_SNR = 0.1
"""The minimum signal-to-noise ratio for Langevin steps."""


@torch.no_grad()
def inpaint(
    model: DDPM,
    x: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    num_inference_steps: int,
    condition: Any,
) -> Tensor:
    """Return ``x`` with values drawn where ``mask`` is true; see `DDPM.inpaint`.

    Rows and mask come from `DDPM.checked_inpainting`.
    """
    if num_inference_steps < 1:
        raise ConfigError(f"num_inference_steps must be at least 1, got {num_inference_steps}.")
    num, T = len(x), len(model.schedule)
    signal = model.signal(condition, num)
    denoiser, grid = Conditioned(model, signal), times("trailing", T, min(num_inference_steps, T))
    corrected = Corrected(model, denoiser, model.state(x), ~mask, generator, grid)
    with evaluating(model):
        start = corrected(model.standard_normal(num, generator), grid[0])
        states = DDPMSampler().solver(model, grid).run(denoiser, start, generator, corrected)
        found = model.to_data(deque(states, maxlen=1)[0])
    if not bool(torch.isfinite(found[mask]).all()):
        raise NotFiniteSampleError(
            "An inpainted value is not finite. The weights may be damaged, or training may have "
            "diverged."
        )
    return torch.where(mask, found, x)


class Corrected:
    """Puts the known part back into a state, and corrects the rest by Langevin steps.

    At time t the known part is k_t = √ᾱ k_0 + σ ε, σ² = 1 − ᾱ, with new noise ε for each call of
    the network. The rest u follows Langevin dynamics,

        u ← u + δ (√ᾱ û_0 − u) + √(2δ) σ z,  z ~ N(0, I),

    which leaves p_t(u | k_t) invariant up to O(δ), since (√ᾱ x̂_0 − x_t) / σ² is the gradient of
    log p_t(x_t). As σ → 0 this becomes p(u | k_0). Without Langevin steps u depends on k_t only
    through one reverse step per time, and the draw is biased.

    | Score-Based Generative Modeling through Stochastic Differential Equations
    | (Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole, 2021), predictor and corrector
    | RePaint: Inpainting using Denoising Diffusion Probabilistic Models
    | (Lugmayr et al., 2022), for repeated noising and denoising at one level

    Arguments:
        model: The model.
        denoiser: The model with its condition.
        given: States without noise (B, *state_shape), of which the known part is used.
        known: Where they are known, bool, of the same shape.
        generator: The generator of the noise.
        grid: The visited times, decreasing.
    """

    def __init__(
        self,
        model: DDPM,
        denoiser: Denoiser,
        given: Tensor,
        known: Tensor,
        generator: torch.Generator,
        grid: Sequence[int],
    ) -> None:
        self.model, self.denoiser, self.generator = model, denoiser, generator
        self.given, self.known = given, known
        self.number = corrections(model.schedule, grid)

    def __call__(self, state: Tensor, t: int) -> Tensor:
        """Return a corrected state at time t; at time −1, the data unchanged."""
        if t < 0:
            return state
        x_t = self._held(state, t)
        for _ in range(self.number[t]):
            x_t = self._held(self._moved(x_t, t), t)
        return x_t

    def _held(self, state: Tensor, t: int) -> Tensor:
        """Return a state whose known part is the given one with noise."""
        at = torch.full((len(state),), t, device=state.device)
        return torch.where(self.known, self.model.diffuse(self.given, at, self._noise()), state)

    def _moved(self, x_t: Tensor, t: int) -> Tensor:
        """Return the state after a Langevin step."""
        a, s = self.model.alpha[t], self.model.sigma[t]
        output = self.denoiser(x_t, t)
        x_0 = self.model.parameterization.x_0(output, x_t, a, s)
        if self.model.is_bounded:
            x_0 = x_0.clamp(-1, 1)
        drift = STEP_SIZE * (a * x_0 - x_t)
        return x_t + drift + math.sqrt(2 * STEP_SIZE) * s * self._noise()

    def _noise(self) -> Tensor:
        return self.model.standard_normal(len(self.given), self.generator)


def corrections(schedule: NoiseSchedule, grid: Sequence[int]) -> dict[int, int]:
    """Return the number of Langevin steps at each time, `CORRECTIONS` on average.

    They are spread evenly over log SNR from `LEAST_SNR` on, so that every scale of the data gets
    the same number: for a conditional variance c, a step covers the share δ σ² / (c + σ²) of the
    distance.
    """
    log_snr = schedule.snr[list(grid)].clamp_min(LEAST_SNR).log()
    share = (log_snr - log_snr[0]) / (log_snr[-1] - log_snr[0]).clamp_min(1e-12)
    made = (CORRECTIONS * len(grid) * share).round().long()
    each = made.diff(prepend=made[:1])
    return dict(zip(grid, each.tolist(), strict=True))
