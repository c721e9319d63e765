"""Likelihoods: distributions of x from a decoder's outputs."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal, constraints

from genzoo.plugin import Binary, ConfigError, Real, Space, Unit, bernoulli

_MIN_LOG_SCALE = -7.0
_MIN_PROBABILITY = 1e-12


class Likelihood(nn.Module, abc.ABC):
    """Abstract base class: a family of distributions of x whose parameters a decoder computes.

    Class attributes:
        spaces: The spaces of data that it is a likelihood of.
        discrete: Whether ``log_prob`` is that of a probability, not of a density.
    """

    spaces: ClassVar[tuple[type[Space], ...]]
    discrete: ClassVar[bool] = True

    @abc.abstractmethod
    def forward(self, outputs: Tensor) -> Distribution:
        """Return p(x | z) for outputs (..., *event_shape), each value independent of the others.

        The distribution's event shape is empty: its ``log_prob`` has one value per pixel.
        """

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z), (...), of whole examples x (B, ...)."""
        log_p: Tensor = self(outputs).log_prob(x)
        return log_p.flatten(outputs.ndim - x.ndim + 1).sum(-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean of x, (..., *event_shape)."""
        mean: Tensor = self(outputs).mean
        return mean

    @abc.abstractmethod
    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x ~ p(x | z) with randomness only from ``generator``."""

    @abc.abstractmethod
    def location(self, mean: Tensor) -> Tensor:
        """Return the outputs whose distribution has a given mean, for initialisation."""


class BernoulliLikelihood(Likelihood):
    """p(x = 1) = σ(output): for zeros and ones, not for grey values."""

    spaces = (Binary,)

    def forward(self, outputs: Tensor) -> Distribution:
        """Return Bernoulli distributions with these logits."""
        return Bernoulli(logits=outputs, validate_args=False)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) = −Σ softplus((1 − 2x) output), (...), of zeros and ones x."""
        if not torch.is_grad_enabled():
            signed = ((1 - 2 * x) * outputs).flatten(outputs.ndim - x.ndim + 1)
            return -_sum_softplus(signed)
        # Not the same with gradients: stored recipes depend on how they are rounded. The sign is
        # changed after the sum, which saves two passes.
        bce = F.binary_cross_entropy_with_logits(outputs, x.expand_as(outputs), reduction="none")
        return -bce.flatten(outputs.ndim - x.ndim + 1).sum(-1)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the Bernoulli distributions."""
        return bernoulli(logits=outputs, generator=generator)

    def location(self, mean: Tensor) -> Tensor:
        """Return the log-odds of a mean, clipped away from 0 and 1."""
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))


def _sum_softplus(t: Tensor) -> Tensor:
    """Return Σ softplus(t) over the last dimension, in float32 at least; t may be overwritten.

    softplus(t) = max(t, 0) − log σ(|t|). The factors σ(|t|) are from ½ to 1, so that 32 of them
    have a product in float32, and one logarithm is taken of all: torch's softplus takes two
    functions of each value, in three times the time. Σ max(t, 0) = ½ (Σ t + Σ |t|) needs no values
    of its own; all is done in place, since values that leave the processor's cache take longer.
    """
    t = t.to(torch.promote_types(t.dtype, torch.float32))
    total = t.sum(-1)
    total = 0.5 * (total + t.abs_().sum(-1))
    factors = t.sigmoid_()
    for _ in range(5):
        half, odd = divmod(factors.shape[-1], 2)
        if not half:
            break
        product = factors[..., :half].mul_(factors[..., half : 2 * half])
        if odd:
            product[..., :1] *= factors[..., -1:]
        factors = product
    return total - factors.log().sum(-1)


class _Scaled(Likelihood, abc.ABC):
    """A location-scale family with one learned scale for all values.

    Attributes:
        log_scale: The logarithm of the scale.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> Tensor:
        """The scale, at least e⁻⁷, so that a density of constant pixels stays finite."""
        return self.log_scale.clamp_min(_MIN_LOG_SCALE).exp()

    def location(self, mean: Tensor) -> Tensor:
        """Return the mean."""
        return mean


class GaussianLikelihood(_Scaled):
    """x ~ N(output, σ²), with one learned σ for all values."""

    spaces = (Real, Unit)
    discrete = False

    def __init__(self) -> None:
        super().__init__(scale=0.5)

    def forward(self, outputs: Tensor) -> Distribution:
        """Return Gaussians around the outputs."""
        return Normal(outputs, self.scale, validate_args=False)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from the Gaussians."""
        noise = torch.randn(
            outputs.shape, generator=generator, device=outputs.device, dtype=outputs.dtype
        )
        return outputs + self.scale * noise


class DiscretizedLogisticLikelihood(_Scaled):
    """A logistic distribution around the output, discretised to the grey levels of the data.

    Arguments:
        levels: The number of values from 0 to 1, such as 256 for bytes.
    """

    spaces = (Unit,)

    def __init__(self, levels: int) -> None:
        super().__init__(scale=0.1)
        self.levels = levels

    def forward(self, outputs: Tensor) -> Distribution:
        """Return discretised logistics around the outputs."""
        return DiscretizedLogistic(outputs, self.scale, self.levels)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw levels."""
        return _quantile(_uniform(outputs, generator), outputs, self.scale, self.levels)


class DiscretizedLogistic(Distribution):
    """P(x = i / (L − 1)) = σ((x + δ/2 − μ) / s) − σ((x − δ/2 − μ) / s), with δ = 1 / (L − 1).

    The lowest level includes all mass below it, the highest all mass above it, so the L
    probabilities sum to one.

    | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)

    Arguments:
        loc: μ, of any shape.
        scale: s, broadcastable to the shape of μ.
        levels: L, the number of values from 0 to 1.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    has_rsample = False

    def __init__(self, loc: Tensor, scale: Tensor, levels: int) -> None:
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Σ_i x_i P(x_i), by summing over the levels' upper edges: 1 − δ Σ_i F(edge_i)."""
        delta = 1 / (self.levels - 1)
        edges = (torch.arange(self.levels - 1, device=self.loc.device) + 0.5) * delta
        total = torch.zeros_like(self.loc)
        for edge in edges.to(self.loc.dtype):
            total = total + torch.sigmoid((edge - self.loc) / self.scale)
        return 1 - delta * total

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P of values i / (L − 1), in nats, of the broadcast shape."""
        half = 0.5 / (self.levels - 1)
        upper = (value + half - self.loc) / self.scale
        lower = (value - half - self.loc) / self.scale
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^(l − u)), without a difference of two
        # numbers near one, so the tails keep their slope.
        gap = torch.log(-torch.expm1(lower - upper)).clamp_min(math.log(_MIN_PROBABILITY))
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + gap
        highest = torch.where(value > 1 - half, F.logsigmoid(-lower), inner)
        return torch.where(value < half, F.logsigmoid(upper), highest)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw levels, of shape sample_shape + batch shape."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            u = torch.rand(shape, device=self.loc.device, dtype=self.loc.dtype)
            return _quantile(u, self.loc, self.scale, self.levels)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": BernoulliLikelihood,
    "gaussian": GaussianLikelihood,
    "discretized-logistic": DiscretizedLogisticLikelihood,
}
"""The likelihoods by their names in a config."""


def usual(event: Space) -> str:
    """Return the name of the default likelihood of data."""
    if isinstance(event, Binary):
        return "bernoulli"
    return "discretized-logistic" if _has_levels(event) else "gaussian"


def check_likelihood(name: str, event: Space) -> None:
    """Raise ConfigError if data need another likelihood; the model refuses data without any."""
    spaces = LIKELIHOODS[name].spaces
    known = any(isinstance(event, likelihood.spaces) for likelihood in LIKELIHOODS.values())
    if known and not isinstance(event, spaces):
        titles = " or ".join(space.__name__.lower() for space in spaces)
        coins = name == "bernoulli"
        remedy = "Binarise them (--data.binarize threshold), or make" if coins else "Make"
        raise ConfigError(
            f"The likelihood {name!r} is for {titles} data; these are {event.describe()}. "
            f"{remedy} the model with likelihood={usual(event)!r}."
        )
    if known and name == "discretized-logistic" and not _has_levels(event):
        raise ConfigError(
            f"The likelihood {name!r} is for data with levels; these are {event.describe()}. Give "
            "an event with levels, such as 256 for bytes, or likelihood='gaussian'."
        )


def _has_levels(event: Space) -> bool:
    return isinstance(event, Unit) and event.levels is not None


def make_likelihood(name: str, event: Space) -> Likelihood:
    """Return a likelihood by its name in the config, for data of a space."""
    if isinstance(event, Unit) and name == "discretized-logistic":
        return DiscretizedLogisticLikelihood(event.levels or 256)
    return LIKELIHOODS[name]()


def independent(distribution: Distribution, dimensions: int) -> Independent[Any]:
    """Return a distribution whose ``log_prob`` is summed over a number of last dimensions."""
    return Independent(distribution, dimensions, validate_args=False)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _quantile(u: Tensor, loc: Tensor, scale: Tensor, levels: int) -> Tensor:
    """Return the levels at which the cumulative distribution function reaches u."""
    tiny = torch.finfo(u.dtype).tiny
    x = loc + scale * (u.clamp_min(tiny).log() - torch.log1p(-u).clamp_min(-1e4))
    return (x * (levels - 1)).round().clamp(0, levels - 1) / (levels - 1)
