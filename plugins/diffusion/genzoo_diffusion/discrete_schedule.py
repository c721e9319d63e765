"""How many places keep their category at each time: linear, cosine and log-linear schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Name = Literal["log-linear", "linear", "cosine"]


@dataclass(frozen=True)
class KeepSchedule:
    """α(t), the probability that a place still has its category at time t in [0, 1].

    α(0) = 1 and α(1) = ``end``. Before it is moved to this end, α is

    - log-linear: 1 − t, where the total noise −log α grows like −log(1 − t);
    - linear: exp(−σ t), cut so that it ends at 0, where the noise grows linearly in t;
    - cosine: 1 − sin(π t / 2), which removes most places late in the reverse process.

    | Structured Denoising Diffusion Models in Discrete State-Spaces
    | (Austin, Johnson, Ho, Tarlow, van den Berg, 2021)
    | Simplified and Generalized Masked Diffusion for Discrete Data
    | (Shi, Han, Wang, Doucet, Titsias, 2024)
    | Discrete Diffusion Modeling by Estimating the Ratios of the Data Distribution
    | (Lou, Meng, Ermon, 2024), for the log-linear noise

    Arguments:
        name: Which of them.
        sigma: σ of the linear schedule.
        end: α(1).
    """

    name: Name
    sigma: float
    end: float = 0.0

    def alpha(self, t: Tensor) -> Tensor:
        """Return α(t) of the shape of ``t``."""
        return self.end + (1 - self.end) * _SHAPES[self.name](t, self.sigma)[0]

    def slope(self, t: Tensor) -> Tensor:
        """Return −α'(t), at least 0, of the shape of ``t``."""
        return (1 - self.end) * _SHAPES[self.name](t, self.sigma)[1]

    def grid(self, num_timesteps: int) -> Tensor:
        """Return α(i / T) for i = 0, …, T, (T + 1,), in float64."""
        return self.alpha(torch.linspace(0, 1, num_timesteps + 1, dtype=torch.float64))


def _log_linear(t: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    return 1 - t, torch.ones_like(t)


def _linear(t: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    last = math.exp(-sigma)
    kept = (-sigma * t).exp()
    return (kept - last) / (1 - last), sigma * kept / (1 - last)


def _cosine(t: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    angle = math.pi / 2 * t
    return 1 - angle.sin(), math.pi / 2 * angle.cos()


_SHAPES: Mapping[str, Callable[[Tensor, float], tuple[Tensor, Tensor]]] = {
    "log-linear": _log_linear,
    "linear": _linear,
    "cosine": _cosine,
}
"""α(t) with the end 0, and −α'(t)."""
