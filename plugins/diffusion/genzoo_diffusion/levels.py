"""What a reverse step sees: the noise of two times, and the model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.guidance import Denoiser


class Level(NamedTuple):
    """A level of noise, x_t = a x_0 + s ε.

    Attributes:
        t: The model's time; None for the data, at which no network is run.
        a: The factor of the data.
        s: The factor of the noise.
    """

    t: Any
    a: float
    s: float


DATA = Level(None, 1.0, 0.0)
"""The level of states without noise, where samples end."""


def levels_at(model: GaussianPath, times: Sequence[Any]) -> list[Level]:
    """Return the levels of a model's times."""
    return [Level(*each) for each in zip(times, *model.path(times), strict=True)]


@dataclass(frozen=True)
class Predictor:
    """The predictions and the noise of one trajectory.

    Arguments:
        model: The model, for its parameterization.
        denoiser: The model with its condition.
        generator: The generator of the noise.
        clip: Whether predicted states without noise are clipped to [−1, 1].
    """

    model: GaussianPath
    denoiser: Denoiser
    generator: torch.Generator
    clip: bool = False

    def output(self, x: Tensor, level: Level) -> Tensor:
        """Return the network's prediction for states at a level."""
        return self.denoiser(x, level.t)

    def x_0(self, x: Tensor, level: Level) -> Tensor:
        """Return x̂_0."""
        output = self.output(x, level)
        x_0 = self.model.parameterization.x_0(output, x, level.a, level.s)
        return x_0.clamp(-1, 1) if self.clip else x_0

    def x_0_and_epsilon(self, x: Tensor, level: Level) -> tuple[Tensor, Tensor]:
        """Return x̂_0 and ε̂, with a x̂_0 + s ε̂ = x.

        ε̂ follows from the clipped x̂_0: else guided samples, with much clipping, would drift.
        """
        output, (_, a, s) = self.output(x, level), level
        x_0 = self.model.parameterization.x_0(output, x, a, s)
        if self.clip:
            x_0 = x_0.clamp(-1, 1)
            return x_0, (x - a * x_0) / s
        return x_0, self.model.parameterization.epsilon(output, x, a, s)

    def noise(self, x: Tensor) -> Tensor:
        """Return standard normal noise for each state."""
        return self.model.standard_normal(len(x), self.generator)
