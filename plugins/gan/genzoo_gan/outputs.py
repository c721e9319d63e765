"""What the last numbers of a generator stand for: values, or logits of categories."""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Categorical, NotFiniteSampleError, Real, Space, Unit


class Output(abc.ABC):
    """Abstract base class: how the numbers h of a generator's network become an example x.

    A critic sees *codes*: real numbers, of one kind for real rows and for fakes.

    Class attributes:
        spaces: The classes of spaces that it makes examples of.
        makes: The examples, in words.

    Arguments:
        event: The space of the data.
    """

    spaces: ClassVar[tuple[type[Space], ...]]
    makes: ClassVar[str]

    def __init__(self, event: Space) -> None:
        self.event = event

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of h, and of codes, for one example."""
        return self.event.event_shape

    @abc.abstractmethod
    def codes(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the codes (B, *shape) of real rows (B, *event_shape)."""

    @abc.abstractmethod
    def relaxed(self, h: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Return the codes (B, *shape) of draws of x, through which gradients pass.

        Arguments:
            h: The network's numbers (B, *shape).
            generator: The only source of randomness.
            temperature: τ of the gradient, for discrete x.
        """

    @abc.abstractmethod
    def draw(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x (B, *event_shape), with the same probabilities as `relaxed`.

        Raises:
            NotFiniteSampleError: A logit is not finite.
        """

    @abc.abstractmethod
    def mode(self, h: Tensor) -> Tensor:
        """Return x (B, *event_shape): a function of h, or the most probable category.

        Raises:
            NotFiniteSampleError: A logit is not finite.
        """


class Values(Output):
    """Abstract base class: x is a function of h, and its own code."""

    def codes(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return x."""
        return x

    def relaxed(self, h: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Return x; nothing is drawn."""
        return self.mode(h)

    def draw(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Return x; nothing is drawn."""
        return self.mode(h)


class Identity(Values):
    """x = h."""

    spaces = (Real, Unit)
    makes = "real numbers"

    def mode(self, h: Tensor) -> Tensor:
        """Return h."""
        return h


class Sigmoid(Values):
    """x = σ(h)."""

    spaces = (Unit,)
    makes = "values in [0, 1]"

    def mode(self, h: Tensor) -> Tensor:
        """Return σ(h)."""
        return h.sigmoid()


class GumbelSoftmax(Output):
    """x_i ~ softmax(h_i), one of K categories at each place i; its code is one-hot.

    With Gumbel noise g = −log(−log u), the category argmax(h + g) has the probabilities
    softmax(h). The gradient of its code is that of softmax((h + g) / τ), which is biased.

    The K numbers of a place are channels: codes of rows (C, H, W) are images (K · C, H, W). In a
    space with padding, places after the first padding are padding too, and have no gradient.

    | Categorical Reparameterization with Gumbel-Softmax (Jang, Gu, Poole, 2017)
    """

    spaces = (Categorical,)
    makes = "categories"
    event: Categorical

    @property
    def shape(self) -> tuple[int, ...]:
        """(K · s_1, s_2, ...) for rows (s_1, s_2, ...)."""
        first, *rest = self.event.event_shape
        return (self.event.num_categories * first, *rest)

    def codes(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return one-hot codes."""
        one_hot = F.one_hot(x, self.event.num_categories).movedim(-1, 1)
        return one_hot.flatten(1, 2).to(dtype)

    def relaxed(self, h: Tensor, generator: torch.Generator, temperature: float) -> Tensor:
        """Return the one-hot codes of draws, exactly, with the gradient of the softmax."""
        perturbed = self._perturbed(h, generator)
        x = self.event.ended(perturbed.detach().argmax(1))
        soft = (perturbed / temperature).softmax(1)
        padding = self.event.padding
        if padding is not None:
            soft = soft.masked_fill(_after_end(x, padding)[:, None], 0.0)
        soft = soft.flatten(1, 2)
        return self.codes(x, soft.dtype) + (soft - soft.detach())

    def draw(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Draw categories, int64."""
        return self.event.ended(self._perturbed(_finite(h), generator).argmax(1))

    def mode(self, h: Tensor) -> Tensor:
        """Return the most probable category of each place, int64."""
        return self.event.ended(self._logits(_finite(h)).argmax(1))

    def _logits(self, h: Tensor) -> Tensor:
        """Return h as (B, K, *event_shape)."""
        return h.view(len(h), self.event.num_categories, *self.event.event_shape)

    def _perturbed(self, h: Tensor, generator: torch.Generator) -> Tensor:
        """Return logits with Gumbel noise, (B, K, *event_shape)."""
        # Uniform numbers of half precision are too few: rare categories would not be drawn.
        logits = self._logits(h).to(torch.promote_types(h.dtype, torch.float32))
        u = torch.rand(logits.shape, generator=generator, device=h.device, dtype=logits.dtype)
        return logits - u.clamp_min(torch.finfo(u.dtype).tiny).log().neg().log()


OUTPUTS: dict[str, type[Output]] = {
    "identity": Identity,
    "sigmoid": Sigmoid,
    "gumbel-softmax": GumbelSoftmax,
}


def fitting(event: Space) -> str:
    """Return the name of the output for data of a space."""
    own = ("sigmoid", "gumbel-softmax")
    return next((name for name in own if isinstance(event, OUTPUTS[name].spaces)), "identity")


def _after_end(x: Tensor, padding: int) -> Tensor:
    """Return which places follow the first padding of a row, as a mask of the shape of x."""
    paddings = (x == padding).flatten(1).cumsum(1)
    return (paddings > 1).view_as(x)  # The first one counts itself.


def _finite(h: Tensor) -> Tensor:
    """Return logits, of which every one is finite.

    Raises:
        NotFiniteSampleError: One is not; its category would be an index like any other.
    """
    if not bool(torch.isfinite(h).all()):
        raise NotFiniteSampleError(
            "A logit of a category is not finite: values overflow in the generator. Training may "
            "have diverged."
        )
    return h
