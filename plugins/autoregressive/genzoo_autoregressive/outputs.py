"""Outputs: the distribution of the value at one place, from the parameters a network computes."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Binary, Categorical, ConfigError, Space, Unit

_MIN_LOG_SCALE = -7.0
_MIN_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Output(abc.ABC):
    """Abstract base class: a family of distributions of one of K values.

    Arguments:
        num_values: K.
    """

    num_values: int

    @property
    def padding(self) -> int | None:
        """The value that is padding; None if rows do not end."""
        return None

    def without(self, parameters: Tensor, *, letters: Tensor, padding: Tensor) -> Tensor:
        """Return parameters with probability 0 for letters, or for padding, where these are true.

        Arguments:
            parameters: Parameters (..., P).
            letters: Where only padding is possible, (...) bool.
            padding: Where padding is not possible, (...) bool.
        """
        raise NotImplementedError(f"{type(self).__name__} has no padding.")

    @property
    @abc.abstractmethod
    def num_parameters(self) -> int:
        """P, the number of parameters of a place."""

    @property
    def num_inputs(self) -> int:
        """E, the number of values that a network receives of a place."""
        return 1

    @abc.abstractmethod
    def start(self) -> Tensor:
        """Return the parameters (P,) that training starts from."""

    @abc.abstractmethod
    def inputs(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return values (...) as a network receives them, (..., E)."""

    @abc.abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p of values (...) by their parameters (..., P), in nats."""

    @abc.abstractmethod
    def log_probs(self, parameters: Tensor) -> Tensor:
        """Return log p of all values, (..., K), by parameters (..., P)."""

    @abc.abstractmethod
    def values(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Return values in their canonical form by their indices (...), int64, from 0 to K − 1."""


@dataclass(frozen=True)
class BernoulliOutput(Output):
    """p(x = 1) = σ(parameter), for zeros and ones."""

    num_values: int = 2

    @property
    def num_parameters(self) -> int:
        """1, the logit."""
        return 1

    def start(self) -> Tensor:
        """Return 0: both values are equally likely."""
        return torch.zeros(1)

    def inputs(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return zeros and ones."""
        return x.to(dtype)[..., None]

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log σ(±logit)."""
        return F.logsigmoid((2 * x - 1) * parameters[..., 0])

    def log_probs(self, parameters: Tensor) -> Tensor:
        """Return log σ(−logit) and log σ(logit)."""
        return F.logsigmoid(torch.cat([-parameters, parameters], dim=-1))

    def values(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Return zeros and ones."""
        return index.to(dtype)


@dataclass(frozen=True)
class CategoricalOutput(Output):
    """p(x = k) = softmax(parameters)_k, for one of K categories.

    Arguments:
        num_values: K.
        padding: The category that is padding, if there is one.
    """

    padding: int | None = None

    def without(self, parameters: Tensor, *, letters: Tensor, padding: Tensor) -> Tensor:
        """Return logits that are −∞ for letters, or for padding, where these are true."""
        values = torch.arange(self.num_values, device=parameters.device)
        ended = values.eq(-1 if self.padding is None else self.padding)
        impossible = torch.where(ended, padding[..., None], letters[..., None])
        return parameters.masked_fill(impossible, -torch.inf)

    @property
    def num_parameters(self) -> int:
        """K, the logits."""
        return self.num_values

    @property
    def num_inputs(self) -> int:
        """K, a category as a one-hot vector."""
        return self.num_values

    def start(self) -> Tensor:
        """Return zeros: all categories are equally likely."""
        return torch.zeros(self.num_values)

    def inputs(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return one-hot vectors."""
        return F.one_hot(x, self.num_values).to(dtype)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return the logarithm of the softmax at the categories."""
        return parameters.log_softmax(-1).gather(-1, x[..., None])[..., 0]

    def log_probs(self, parameters: Tensor) -> Tensor:
        """Return the logarithm of the softmax."""
        return parameters.log_softmax(-1)

    def values(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the categories, int64."""
        return index


@dataclass(frozen=True)
class LogisticMixtureOutput(Output):
    """A mixture of M logistic distributions, discretised to L grey levels i / (L − 1).

        P(x = i / (L − 1)) = Σ_m π_m [σ((x + δ/2 − μ_m) / s_m) − σ((x − δ/2 − μ_m) / s_m)],

    with δ = 1 / (L − 1). The lowest level has all mass below it, the highest all mass above it, so
    the L probabilities sum to one. The parameters are the logits of π, then μ, then log s.

    | PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other
    | Modifications (Salimans, Karpathy, Chen, Kingma, 2017)

    Arguments:
        num_values: L.
        num_mixtures: M.
    """

    num_mixtures: int

    @property
    def num_parameters(self) -> int:
        """3 M."""
        return 3 * self.num_mixtures

    def start(self) -> Tensor:
        """Return equal weights, means that are spread over [0, 1], and scales that overlap."""
        num = self.num_mixtures
        means = (torch.arange(num) + 0.5) / num
        return torch.cat([torch.zeros(num), means, torch.full((num,), math.log(0.3 / num))])

    def inputs(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the levels scaled to [−1, 1]."""
        return (2 * x.to(dtype) - 1)[..., None]

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log Σ_m π_m P_m(x)."""
        weights, mean, log_scale = parameters.chunk(3, dim=-1)
        scale = log_scale.clamp_min(_MIN_LOG_SCALE).exp()
        steps = self.num_values - 1
        half = 0.5 / steps
        # In float32 a level such as 1/3 is off by a part of a small scale.
        x = (x.to(parameters.dtype)[..., None] * steps).round() / steps
        upper, lower = (x + half - mean) / scale, (x - half - mean) / scale
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^(l − u)), without a difference of two
        # numbers near one, so the tails keep their slope.
        gap = torch.log(-torch.expm1(lower - upper)).clamp_min(math.log(_MIN_PROBABILITY))
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + gap
        found = torch.where(x > 1 - half, F.logsigmoid(-lower), inner)
        found = torch.where(x < half, F.logsigmoid(upper), found)
        return (weights.log_softmax(-1) + found).logsumexp(-1)

    def log_probs(self, parameters: Tensor) -> Tensor:
        """Return log p of all levels."""
        index = torch.arange(self.num_values, device=parameters.device)
        levels = self.values(index, parameters.dtype)
        return self.log_prob(parameters[..., None, :], levels)

    def values(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the levels, from 0 to 1."""
        return index.to(dtype) / (self.num_values - 1)


def output_of(event: Space, num_mixtures: int) -> Output:
    """Return the output for data of a space.

    Arguments:
        event: The space.
        num_mixtures: The number of logistics for grey levels.

    Raises:
        ConfigError: The data have no levels, or the space is of another class.
    """
    for kind, make in _MAKERS.items():
        if isinstance(event, kind) and event.num_values is not None:
            return make(event, event.num_values, num_mixtures)
    raise ConfigError(
        f"An autoregressive model has a probability for each value; these are "
        f"{event.describe()}. Give an event with levels, such as 256 for bytes."
    )


def _categorical(event: Space, num_values: int, _: int) -> Output:
    padding = event.padding if isinstance(event, Categorical) else None
    return CategoricalOutput(num_values, padding)


_MAKERS: dict[type[Space], Callable[[Space, int, int], Output]] = {
    Binary: lambda _, __, ___: BernoulliOutput(),
    Categorical: _categorical,
    Unit: lambda _, levels, num_mixtures: LogisticMixtureOutput(levels, num_mixtures),
}
SPACES: tuple[type[Space], ...] = tuple(_MAKERS)
"""The spaces of data that have an output."""
