"""Families whose draws are a differentiable function of their parameters and of noise."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Exponential,
    Gamma,
    Laplace,
    LogNormal,
    Normal,
    kl_divergence,
)

from genzoo.plugin import Real, Space
from genzoo_vae.families.family import Family

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class ContinuousFamily(Family):
    """Abstract base class: z = g(ε; parameters), with noise ε that has no parameters.

    The prior of such latents is the standard member of the family, whose parameters are all 0.
    """

    @property
    def codes(self) -> Space:
        """Real values."""
        return Real(shape=(self.size,))

    @abc.abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the distribution of each latent, of batch shape (..., D)."""

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return log q(z), (K, B)."""
        log_q: Tensor = self.distribution(parameters).log_prob(z)
        return log_q.sum(-1)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean, (..., D)."""
        mean: Tensor = self.distribution(parameters).mean
        return mean

    def standard(self, like: Tensor) -> Tensor:
        """Return the parameters of the prior, (P,), with the device and dtype of a tensor."""
        return like.new_zeros(self.num_parameters)

    def kl(self, parameters: Tensor) -> Tensor:
        """Return KL(q(z_j) ‖ p(z_j)) to the standard member of the family, (..., D)."""
        prior = self.distribution(self.standard(parameters))
        return kl_divergence(self.distribution(parameters), prior)


class _TwoParameters(ContinuousFamily, abc.ABC):
    """A family with two parameters for each latent, (a, b) = parameters (..., 2D) in halves."""

    @property
    def num_parameters(self) -> int:
        """2D."""
        return 2 * self.size


class NormalFamily(_TwoParameters):
    """z = μ + σ ε, ε ~ N(0, 1), from the mean μ and the log-variance log σ²."""

    title = "normal"

    def distribution(self, parameters: Tensor) -> Normal:
        """Return N(μ, σ²)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return Normal(mean, (0.5 * log_variance).exp(), validate_args=False)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw μ + σ ε."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return mean + (0.5 * log_variance).exp() * _normal(mean, num, generator)

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return −½ Σ ((z − μ)² / σ² + log σ² + log 2π)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        # Not by σ², whose range is half that of σ.
        squares = ((z - mean) * (-0.5 * log_variance).exp()).square()
        return -0.5 * (squares + log_variance).sum(-1) - self.size * _HALF_LOG_2PI

    def mean(self, parameters: Tensor) -> Tensor:
        """Return μ."""
        return parameters.chunk(2, dim=-1)[0]

    def kl(self, parameters: Tensor) -> Tensor:
        """Return ½ (μ² + σ² − 1 − log σ²), (..., D)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


class LaplaceFamily(_TwoParameters):
    """z = μ + s ε, where ε has the density ½ e^{−|ε|}, from μ and log s."""

    title = "Laplace"

    def distribution(self, parameters: Tensor) -> Laplace:
        """Return the Laplace distribution."""
        loc, log_scale = parameters.chunk(2, dim=-1)
        return Laplace(loc, log_scale.exp(), validate_args=False)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw μ + s ε; ε is the difference of two exponential draws."""
        loc, log_scale = parameters.chunk(2, dim=-1)
        eps = _exponential(loc, num, generator) - _exponential(loc, num, generator)
        return loc + log_scale.exp() * eps


class LogNormalFamily(_TwoParameters):
    """z = exp(μ + σ ε), ε ~ N(0, 1), from μ and log σ²."""

    title = "log-normal"
    is_positive = True

    def distribution(self, parameters: Tensor) -> LogNormal:
        """Return the log-normal distribution."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return LogNormal(mean, (0.5 * log_variance).exp(), validate_args=False)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw exp(μ + σ ε)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return (mean + (0.5 * log_variance).exp() * _normal(mean, num, generator)).exp()


class ExponentialFamily(ContinuousFamily):
    """z = ε / λ, where ε has the density e^{−ε}, from log λ."""

    title = "exponential"
    is_positive = True

    @property
    def num_parameters(self) -> int:
        """D."""
        return self.size

    def distribution(self, parameters: Tensor) -> Exponential:
        """Return the exponential distribution of rate λ."""
        return Exponential(parameters.exp(), validate_args=False)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw ε / λ."""
        return _exponential(parameters, num, generator) * (-parameters).exp()


class GammaFamily(_TwoParameters):
    """z with the density β^α z^{α−1} e^{−βz} / Γ(α), from log α and log β.

    The derivative of a draw by α is implicit: dz/dα = −∂F(z; α)/∂α / p(z; α), with the
    distribution function F. It is exact for each α, and needs no transformation of noise.

    | Implicit Reparameterization Gradients (Figurnov, Mohamed, Mnih, 2018)
    """

    title = "gamma"
    is_positive = True

    def distribution(self, parameters: Tensor) -> Gamma:
        """Return the gamma distribution of shape α and rate β."""
        log_shape, log_rate = parameters.chunk(2, dim=-1)
        return Gamma(log_shape.exp(), log_rate.exp(), validate_args=False)

    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw by Marsaglia and Tsang's rejection; torch differentiates it implicitly."""
        log_shape, log_rate = parameters.chunk(2, dim=-1)
        shape = log_shape.exp().expand(num, *log_shape.shape[1:])
        z: Tensor = torch._standard_gamma(shape, generator)
        # A draw of a small shape can underflow to 0, whose logarithm is not finite.
        return z.clamp_min(torch.finfo(z.dtype).tiny) * (-log_rate).exp()


CONTINUOUS: dict[str, type[ContinuousFamily]] = {
    "normal": NormalFamily,
    "laplace": LaplaceFamily,
    "log-normal": LogNormalFamily,
    "exponential": ExponentialFamily,
    "gamma": GammaFamily,
}
"""The continuous families by their names in a config."""


def _normal(like: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw from N(0, 1), in the shape (num, B, D) for a tensor (K, B, D)."""
    shape = (num, *like.shape[1:])
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _exponential(like: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw from the exponential distribution of rate 1, (num, B, D)."""
    empty = torch.empty((num, *like.shape[1:]), device=like.device, dtype=like.dtype)
    return empty.exponential_(generator=generator)
