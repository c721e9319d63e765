"""Ancestral sampling: a draw from each step of the chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from genzoo_diffusion.denoise import DenoiseConfig, ReverseSteps, Steps
from genzoo_diffusion.exact import check_exact, last_draw
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.levels import Level, Predictor


@dataclass(frozen=True, kw_only=True)
class DDPMConfig(DenoiseConfig):
    """Ancestral sampling."""

    num_inference_steps: Steps | None = None
    """The number of steps; by default T, the chain of the likelihood, or 1000 in continuous
    time."""
    variance_type: Literal["fixed_small", "fixed_large"] | None = None
    """The variance of a step: that of q(x_{t−1} | x_t, x_0), or β_t; the model's by default, and
    the small one in continuous time."""
    clip_sample: bool = True
    """Whether predictions of bounded states, such as data in [0, 1], are clipped."""
    exact: bool = False
    """Whether the last step is drawn too, including grey levels, so that samples have the
    distribution of the likelihood; other options that change the chain are refused."""


class DDPMSampler(ReverseSteps[DDPMConfig]):
    """Ancestral sampling, x_{t−1} ~ N(μ(x_t, t), σ_t² I): the model's chain.

    The chain is that of the visited times. From x = a x_0 + s ε to the next one, whose factors are
    a' and s', with α = a / a' and β = s² − α² s'²,

        x' = (a' β / s²) x̂_0 + (α s'² / s²) x + σ z,  z ~ N(0, I),

    where σ² is β̃ = β s'² / s², the variance of q(x' | x, x_0), or β. If a² + s² = 1, these are the
    paper's α_t, β_t and β̃_t.

    By default it ends, as in the paper, at the mean x̂_0 of the last step, without noise and
    between the grey levels. This is not the distribution of a `DDPM`'s likelihood. With ``exact``
    it is: the last step is drawn from p(x_0 | x at time 0), which is N(x̂_0, σ_0² I), cut into
    grey levels if there are any. Draws outside [0, 1] are clipped.

    The network runs once a step.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020), equations 6 and 7
    """

    Config = DDPMConfig

    def clips(self, model: GaussianPath) -> bool:
        """Whether predicted data are clipped to [−1, 1]."""
        return self.config.clip_sample and model.is_bounded

    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the levels of the visited times, and of the data.

        Raises:
            CapabilityError: The chain is to be exact, and the model has no likelihood.
            ConfigError: The config does not fit the model's times, or an exact chain.
        """
        if self.config.exact:
            check_exact(model, self.config)
        return super().levels(model)

    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return a draw from N(μ(x), σ² I); where no noise is left, the mean if not exact."""
        alpha = now.a / after.a
        beta = now.s**2 - alpha**2 * after.s**2
        kept = after.s**2 / now.s**2
        x_0 = predictor.x_0(x, now)
        mean = (after.a * beta / now.s**2) * x_0 + (alpha * kept) * x
        if after.s == 0:
            return last_draw(predictor, mean) if self.config.exact else mean
        variance = beta if self._is_large(predictor.model) else beta * kept
        return mean + math.sqrt(variance) * predictor.noise(x)

    def _is_large(self, model: GaussianPath) -> bool:
        """Whether the variance of a step is β; flows have no such field."""
        own = getattr(model.config, "variance_type", "fixed_small")
        return (self.config.variance_type or own) == "fixed_large"
