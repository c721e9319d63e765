"""Prediction targets at x_t = √ᾱ x_0 + √(1 − ᾱ) ε: the noise, the data, v, or EDM's."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from torch import Tensor


class Parameterization(abc.ABC):
    """Abstract base class of three quantities, each of which determines the others.

    In every method ``a`` is √ᾱ_t and ``s`` is √(1 − ᾱ_t), with shapes that broadcast.

    Class attributes:
        name: Its name in diffusers' schedulers.
    """

    name: ClassVar[str]

    def inputs(self, x_t: Tensor, t: Tensor, a: Any, s: Any) -> tuple[Tensor, Tensor]:
        """Return the state and the times (B,) that the network sees; x_t and t by default."""
        return x_t, t

    @abc.abstractmethod
    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return the target of the network."""

    @abc.abstractmethod
    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return the data that a prediction implies."""

    @abc.abstractmethod
    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return the noise that a prediction implies."""

    @abc.abstractmethod
    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return the squared error of x_0 per squared error of the prediction."""


class Epsilon(Parameterization):
    """The noise ε.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
    """

    name = "epsilon"

    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return ε."""
        return epsilon

    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return (x_t − s ε) / a."""
        data: Tensor = (x_t - s * output) / a
        return data

    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return the prediction."""
        return output

    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return 1 / SNR."""
        return 1 / snr


class Sample(Parameterization):
    """The data x_0."""

    name = "sample"

    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return x_0."""
        return x_0

    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return the prediction."""
        return output

    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return (x_t − a x_0) / s."""
        noise: Tensor = (x_t - a * output) / s
        return noise

    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return 1."""
        return snr.new_ones(snr.shape)


class Velocity(Parameterization):
    """v = a ε − s x_0, which is informative at every time, even if x_t has no signal.

    | Progressive Distillation for Fast Sampling of Diffusion Models (Salimans, Ho, 2022)
    """

    name = "v_prediction"

    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return v."""
        v: Tensor = a * epsilon - s * x_0
        return v

    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return a x_t − s v."""
        data: Tensor = a * x_t - s * output
        return data

    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return a v + s x_t."""
        noise: Tensor = a * output + s * x_t
        return noise

    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return 1 / (1 + SNR)."""
        return 1 / (1 + snr)


class FlowVelocity(Parameterization):
    """u = ε − x_0, the velocity of the line from x_0 to ε.

    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023)
    """

    name = "flow_prediction"

    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return u."""
        return epsilon - x_0

    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return (x_t − s u) / (a + s)."""
        data: Tensor = (x_t - s * output) / (a + s)
        return data

    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return (x_t + a u) / (a + s)."""
        noise: Tensor = (x_t + a * output) / (a + s)
        return noise

    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return s² / (a + s)², which is 1 / (1 + √SNR)²."""
        return 1 / (1 + snr.sqrt()).square()


class EDM(Parameterization):
    """EDM's preconditioning: input and target have variance 1 at every noise level.

    It is stated for x = x_t / a = x_0 + σ ε with σ = s / a. The network F sees c_in x and c_noise,
    and the denoiser is D = c_skip x + c_out F, where σ_d² is the variance of the data and

        c_skip = σ_d² / (σ² + σ_d²),  c_out = σ σ_d / √(σ² + σ_d²),
        c_in = 1 / √(σ² + σ_d²),  c_noise = ln(σ) / 4.

    In units of x_t, with n = s² + a² σ_d², the variance of x_t: c_in x = x_t / √n, the target is
    F = (s x_0 / σ_d − a σ_d ε) / √n, and its error has the weight λ(σ) c_out² = 1. For σ_d = 1 the
    target is −v.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)

    Arguments:
        sigma_data: σ_d.
    """

    name = "edm"

    def __init__(self, sigma_data: float) -> None:
        self.sigma_data = sigma_data

    def inputs(self, x_t: Tensor, t: Tensor, a: Any, s: Any) -> tuple[Tensor, Tensor]:
        """Return c_in x and c_noise."""
        return x_t / self._deviation(a, s), (s / a).log().flatten() / 4

    def target(self, x_0: Tensor, epsilon: Tensor, a: Any, s: Any) -> Tensor:
        """Return F."""
        sigma_data = self.sigma_data
        mixture = s / sigma_data * x_0 - a * sigma_data * epsilon
        target: Tensor = mixture / self._deviation(a, s)
        return target

    def x_0(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return D."""
        deviation = self._deviation(a, s)
        skip = a * (self.sigma_data / deviation) ** 2
        data: Tensor = skip * x_t + s * self.sigma_data / deviation * output
        return data

    def epsilon(self, output: Tensor, x_t: Tensor, a: Any, s: Any) -> Tensor:
        """Return (x_t − a D) / s, without a division by s."""
        deviation = self._deviation(a, s)
        noise: Tensor = s / deviation**2 * x_t - a * self.sigma_data / deviation * output
        return noise

    def x_0_error(self, snr: Tensor) -> Tensor:
        """Return c_out² = σ_d² / (1 + σ_d² SNR)."""
        return self.sigma_data**2 / (1 + self.sigma_data**2 * snr)

    def _deviation(self, a: Any, s: Any) -> Any:
        """Return √n, the standard deviation of x_t."""
        return (s**2 + (a * self.sigma_data) ** 2) ** 0.5


PARAMETERIZATIONS: dict[str, Parameterization] = {
    kind.name: kind for kind in (Epsilon(), Sample(), Velocity())
}


def make_parameterization(name: str, sigma_data: float) -> Parameterization:
    """Return a parameterisation by its name in the config.

    Arguments:
        name: Its name.
        sigma_data: The standard deviation of the data, which "edm" needs.
    """
    return EDM(sigma_data) if name == EDM.name else PARAMETERIZATIONS[name]
