"""Denoising diffusion implicit models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from genzoo.plugin import Bounds, ConfigError
from genzoo_diffusion.denoise import ReverseSteps, StepsConfig
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.levels import Level, Predictor, levels_at


@dataclass(frozen=True, kw_only=True)
class DDIMConfig(StepsConfig):
    """Denoising diffusion implicit models."""

    eta: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """η: the share of an ancestral step's noise; with 0 the steps are deterministic."""
    clip_sample: bool = True
    """Whether predictions of bounded states, such as data in [0, 1], are clipped."""
    set_alpha_to_one: bool = True
    """Whether the last step ends at the data or, as in Stable Diffusion, at the noise of t = 0."""


class DDIM(ReverseSteps[DDIMConfig]):
    """DDIM: the predicted x̂_0 and ε̂, put together again with the noise of the next time.

    From x = a x_0 + s ε to the next time, whose factors are a' and s',

        x' = a' x̂_0 + √(s'² − σ²) ε̂ + σ z,  z ~ N(0, I),

    with σ = η √β̃ for the β̃ of `DDPMSampler`. With η = 1 the steps are those of `DDPMSampler`. With
    η = 0 they are those of `Euler`, but for clipping.

    The network runs once a step.

    | Denoising Diffusion Implicit Models (Song, Meng, Ermon, 2021), equations 12 and 16
    """

    Config = DDIMConfig

    def clips(self, model: GaussianPath) -> bool:
        """Whether predicted data are clipped to [−1, 1]."""
        return self.config.clip_sample and model.is_bounded

    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the levels of the visited times, and of the data or of t = 0.

        Raises:
            ConfigError: The config does not fit the model's times.
        """
        levels = super().levels(model)
        if self.config.set_alpha_to_one:
            return levels
        if model.num_times is None:
            raise ConfigError(
                "set_alpha_to_one = False ends at the noise of the first of T times; "
                f"{type(model).__name__} has continuous time. Leave it out."
            )
        return [*levels[:-1], *levels_at(model, [0])]

    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return a' x̂_0 + √(s'² − σ²) ε̂ + σ z."""
        beta = now.s**2 - (now.a / after.a) ** 2 * after.s**2
        sigma = self.config.eta * math.sqrt(beta) * after.s / now.s
        x_0, epsilon = predictor.x_0_and_epsilon(x, now)
        x = after.a * x_0 + math.sqrt(max(after.s**2 - sigma**2, 0)) * epsilon
        return x + sigma * predictor.noise(x) if sigma > 0 else x
