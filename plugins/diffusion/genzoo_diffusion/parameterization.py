"""Prediction targets at x_t = √ᾱ x_0 + √(1 − ᾱ) ε: the noise, the data, or v."""

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


PARAMETERIZATIONS: dict[str, Parameterization] = {
    kind.name: kind for kind in (Epsilon(), Sample(), Velocity())
}
