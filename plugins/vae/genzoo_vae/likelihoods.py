"""Likelihoods: distributions of x from a decoder's outputs."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import (
    Bernoulli,
    Categorical as Choice,
    Distribution,
    Independent,
    Normal,
)

from genzoo.plugin import (
    Binary,
    CapabilityError,
    Categorical,
    ConfigError,
    DataInfo,
    NotFiniteSampleError,
    Real,
    Space,
    Unit,
    bernoulli,
)
from genzoo_vae.discretized_logistic import DiscretizedLogistic, quantile
from genzoo_vae.network_values import network_values

_MIN_LOG_SCALE = -7.0


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
        """Return p(x | z) for outputs (..., *network_shape), each value independent of the others.

        The distribution's event shape is empty: its ``log_prob`` has one value per pixel.
        """

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z), (...), of whole examples x (B, ...)."""
        log_p: Tensor = self(outputs).log_prob(x)
        return log_p.flatten(outputs.ndim - x.ndim + 1).sum(-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean of x, (..., *event_shape); of categories the most probable ones."""
        mean: Tensor = self(outputs).mean
        return mean

    @abc.abstractmethod
    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x ~ p(x | z) with randomness only from ``generator``."""

    @abc.abstractmethod
    def location(self, mean: Tensor) -> Tensor:
        """Return the outputs whose distribution has a given mean, for initialisation."""

    def mean_of(self, x: Tensor, info: DataInfo) -> Tensor:
        """Return the mean of data for `location`.

        Arguments:
            x: A large batch of the data, (B, *event_shape).
            info: What is known of all data.
        """
        return info.mean["x"] if "x" in info.mean else x.mean(0)


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
        return quantile(_uniform(outputs, generator), outputs, self.scale, self.levels)


class CategoricalLikelihood(Likelihood):
    """p(x | z) = ∏_i softmax(logits_i)[x_i], one of K categories at each place i.

    Outputs are (..., K · s_1, s_2, …) for rows (s_1, s_2, …): the logits of a place are channels.

    In a space with padding, a row ends at its first padding, and the product is over the places up
    to and including that one. So p(x | z) is the probability of a draw of all places that is ended
    at its first padding, and those of all rows of the space sum to one.

    Arguments:
        event: The space of the data.
    """

    spaces = (Categorical,)

    def __init__(self, event: Categorical) -> None:
        super().__init__()
        self.event = event

    def forward(self, outputs: Tensor) -> Distribution:
        """Return the distribution of each place.

        Raises:
            CapabilityError: Rows end, so what follows an end is not independent of it.
        """
        if self.event.padding is not None:
            raise CapabilityError(
                "In a space with padding, p(x | z) is not a distribution of independent values. "
                "Use log_likelihood, decode, or the sampler."
            )
        logits = self._logits(outputs).movedim(self._dim, -1)
        return Choice(logits=logits, validate_args=False)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z), (...), of whole rows x (B, *event_shape)."""
        log_p = self._logits(outputs).log_softmax(self._dim)
        lead = outputs.ndim - x.ndim
        index = x.expand(*outputs.shape[:lead], *x.shape).unsqueeze(self._dim)
        each = log_p.gather(self._dim, index).squeeze(self._dim)
        if self.event.padding is not None:
            each = each.masked_fill(_after_end(x, self.event.padding), 0.0)
        return each.flatten(lead + 1).sum(-1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the most probable category of each place, int64: categories have no mean.

        Raises:
            NotFiniteSampleError: A logit is not finite.
        """
        return self.event.ended(self._logits(_finite(outputs)).argmax(self._dim))

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw categories by argmax(logits + Gumbel noise), int64.

        Raises:
            NotFiniteSampleError: A logit is not finite.
        """
        logits = self._logits(_finite(outputs))
        u = _uniform(logits, generator).clamp_min(torch.finfo(logits.dtype).tiny)
        return self.event.ended((logits - u.log().neg().log()).argmax(self._dim))

    def location(self, mean: Tensor) -> Tensor:
        """Return the logarithm of frequencies."""
        return mean.log()

    def mean_of(self, x: Tensor, info: DataInfo) -> Tensor:
        """Return how frequent each category is at each place, (K · s_1, s_2, …).

        The rows that have ended before a place are left out. Each category is counted once more
        than it was seen, so no frequency is 0.
        """
        codes = network_values(self.event, x, torch.get_default_dtype())
        counts = codes.view(len(x), self.event.num_categories, *self.event.event_shape)
        if self.event.padding is not None:
            counts = counts.masked_fill(_after_end(x, self.event.padding)[:, None], 0.0)
        seen = counts.sum(0) + 1
        frequencies: Tensor = seen / seen.sum(0)
        return frequencies.flatten(0, 1)

    @property
    def _dim(self) -> int:
        """The dimension of the categories in logits, from the end."""
        return -1 - len(self.event.event_shape)

    def _logits(self, outputs: Tensor) -> Tensor:
        """Return outputs as (..., K, *event_shape), in float32 at least."""
        # Uniform numbers of half precision are too few: rare categories would not be drawn.
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        lead = outputs.shape[: outputs.ndim + self._dim + 1]
        return outputs.reshape(*lead, self.event.num_categories, *self.event.event_shape)


def _after_end(x: Tensor, padding: int) -> Tensor:
    """Return which places follow the first padding of their row, (B, *event_shape) bool."""
    paddings = (x == padding).flatten(1).cumsum(1)
    return (paddings > 1).view_as(x)  # The first one counts itself.


def _finite(outputs: Tensor) -> Tensor:
    """Return logits, of which every one is finite.

    Raises:
        NotFiniteSampleError: One is not; its category would be an index like any other.
    """
    if not bool(torch.isfinite(outputs).all()):
        raise NotFiniteSampleError(
            "A logit of a category is not finite: values overflow in the decoder. Training may "
            "have diverged."
        )
    return outputs


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": BernoulliLikelihood,
    "categorical": CategoricalLikelihood,
    "gaussian": GaussianLikelihood,
    "discretized-logistic": DiscretizedLogisticLikelihood,
}
"""The likelihoods by their names in a config."""


def usual(event: Space) -> str:
    """Return the name of the default likelihood of data."""
    if isinstance(event, Binary):
        return "bernoulli"
    if isinstance(event, Categorical):
        return "categorical"
    return "discretized-logistic" if _has_levels(event) else "gaussian"


def check_likelihood(name: str, event: Space) -> None:
    """Raise ConfigError if data need another likelihood; the model refuses data without any."""
    spaces = LIKELIHOODS[name].spaces
    known = any(isinstance(event, likelihood.spaces) for likelihood in LIKELIHOODS.values())
    if known and not isinstance(event, spaces):
        titles = " or ".join(space.__name__.lower() for space in spaces)
        raise ConfigError(
            f"The likelihood {name!r} is for {titles} data; these are {event.describe()}. "
            f"{_remedy(name, event)} the model with likelihood={usual(event)!r}."
        )
    if known and name == "discretized-logistic" and not _has_levels(event):
        raise ConfigError(
            f"The likelihood {name!r} is for data with levels; these are {event.describe()}. Give "
            "an event with levels, such as 256 for bytes, or likelihood='gaussian'."
        )


def _remedy(name: str, event: Space) -> str:
    """Return the beginning of the advice for data that need another likelihood."""
    if name == "bernoulli" and not isinstance(event, Categorical):
        return "Binarise them (--data.binarize threshold), or make"
    if name == "categorical" and (isinstance(event, Binary) or _has_levels(event)):
        return "Turn them into categories (--data.space categorical), or make"
    return "Make"


def _has_levels(event: Space) -> bool:
    return isinstance(event, Unit) and event.levels is not None


def make_likelihood(name: str, event: Space) -> Likelihood:
    """Return a likelihood by its name in the config, for data of a space."""
    if isinstance(event, Unit) and name == "discretized-logistic":
        return DiscretizedLogisticLikelihood(event.levels or 256)
    if isinstance(event, Categorical) and name == "categorical":
        return CategoricalLikelihood(event)
    return LIKELIHOODS[name]()


def independent(distribution: Distribution, dimensions: int) -> Independent[Any]:
    """Return a distribution whose ``log_prob`` is summed over a number of last dimensions."""
    return Independent(distribution, dimensions, validate_args=False)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
