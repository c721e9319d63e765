"""Noise schedules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genzoo.plugin import ConfigError

Name = Literal["linear", "cosine", "zero-terminal-snr", "scaled-linear", "karras"]
MAX_TERMINAL = 0.01
"""The maximum of ᾱ at the last time: a tenth of the data's amplitude."""
_MAX_BETA = 0.999


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """q(x_t | x_0) = N(√ᾱ_t x_0, (1 − ᾱ_t) I) for the times t = 0, …, T − 1.

    Tensors are in float64 on the CPU: 1 − ᾱ_0 is about 1e-4, of which float32 would keep three
    digits.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)

    Arguments:
        alpha_bar: ᾱ, (T,), decreasing.
    """

    alpha_bar: Tensor

    def __len__(self) -> int:
        """Return T."""
        return len(self.alpha_bar)

    @property
    def previous(self) -> Tensor:
        """ᾱ_{t−1}, (T,), which is 1 before the first time."""
        return torch.cat([self.alpha_bar.new_ones(1), self.alpha_bar[:-1]])

    @property
    def beta(self) -> Tensor:
        """β_t = 1 − ᾱ_t / ᾱ_{t−1}, (T,)."""
        return 1 - self.alpha_bar / self.previous

    @property
    def snr(self) -> Tensor:
        """The signal-to-noise ratio ᾱ_t / (1 − ᾱ_t), (T,)."""
        return self.alpha_bar / (1 - self.alpha_bar)

    @property
    def log_sigma(self) -> Tensor:
        """The logarithm of σ_t in x_t / √ᾱ_t = x_0 + σ_t ε, (T,); infinite at ᾱ_t = 0."""
        return -self.snr.log() / 2

    @property
    def posterior_variance(self) -> Tensor:
        """β̃_t, the variance of q(x_{t−1} | x_t, x_0), (T,); 0 at the first time."""
        return self.beta * (1 - self.previous) / (1 - self.alpha_bar)

    @property
    def posterior_weights(self) -> tuple[Tensor, Tensor]:
        """The factors of x_0 and x_t in the mean of q(x_{t−1} | x_t, x_0), (T,) each."""
        of_x_0 = self.previous.sqrt() * self.beta / (1 - self.alpha_bar)
        of_x_t = (1 - self.beta).sqrt() * (1 - self.previous) / (1 - self.alpha_bar)
        return of_x_0, of_x_t

    def at(self, times: Sequence[int]) -> NoiseSchedule:
        """Return the schedule of a chain that visits only the decreasing ``times``."""
        return NoiseSchedule(self.alpha_bar[sorted(times)])


def make_schedule(
    name: Name,
    T: int,
    beta_start: float,
    beta_end: float,
    sigma_min: float = 0.002,
    sigma_max: float = 80.0,
    rho: float = 7.0,
) -> NoiseSchedule:
    """Return a schedule of T times by its name in the config.

    Raises:
        ConfigError: At the last time too much of the data is left to start from noise.
    """
    if name == "karras":
        schedule = NoiseSchedule(_karras(T, sigma_min, sigma_max, rho))
    elif name == "cosine":
        schedule = NoiseSchedule(_cosine(T))
    elif name == "scaled-linear":
        schedule = NoiseSchedule(_scaled_linear(T, beta_start, beta_end))
    else:
        schedule = NoiseSchedule(_linear(T, beta_start, beta_end))
    if name == "zero-terminal-snr":
        return NoiseSchedule(_rescaled(schedule.alpha_bar))
    left = schedule.alpha_bar[-1].item()
    if left > MAX_TERMINAL:
        fields = "sigma_max" if name == "karras" else "beta_end or num_train_timesteps"
        raise ConfigError(
            f"The {name} schedule of {T} times ends at ᾱ = {left:.3g}: {math.sqrt(left):.0%} of "
            f"the data is left, but sampling starts from pure noise. At most {MAX_TERMINAL:g} "
            f"is allowed. Raise {fields}, or use schedule='cosine' or 'zero-terminal-snr'."
        )
    return schedule


def _karras(T: int, sigma_min: float, sigma_max: float, rho: float) -> Tensor:
    """Return ᾱ = 1 / (1 + σ²) of σ whose powers of 1 / ρ rise linearly.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022), equation 5
    """
    ends = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    sigma = torch.linspace(*ends, T, dtype=torch.float64, device="cpu") ** rho
    return 1 / (1 + sigma.square())


def _linear(T: int, beta_start: float, beta_end: float) -> Tensor:
    """Return ᾱ of β_t that rise linearly."""
    beta = torch.linspace(beta_start, beta_end, T, dtype=torch.float64, device="cpu")
    return torch.cumprod(1 - beta, 0)


def _scaled_linear(T: int, beta_start: float, beta_end: float) -> Tensor:
    """Return ᾱ of β_t whose square roots rise linearly.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022), in its code and not in its text
    """
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    beta = torch.linspace(*ends, T, dtype=torch.float64, device="cpu").square()
    return torch.cumprod(1 - beta, 0)


def _cosine(T: int) -> Tensor:
    """Return ᾱ_t ∝ cos²(π/2 (t/T + s) / (1 + s)), s = 0.008, with β_t ≤ 0.999.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)
    """
    share = torch.arange(T + 1, dtype=torch.float64, device="cpu") / T
    f = (math.pi / 2 * (share + 0.008) / 1.008).cos().square()
    return torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(max=_MAX_BETA), 0)


def _rescaled(alpha_bar: Tensor) -> Tensor:
    """Shift and scale √ᾱ so that its last value is 0 and its first is unchanged.

    | Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin, Liu, Li, Yang, 2024)
    """
    root = alpha_bar.sqrt()
    first, last = root[0], root[-1]
    return ((root - last) * first / (first - last)).square()
