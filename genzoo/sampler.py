"""Sampler: how to draw x from a model."""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from genzoo.component import Configured
from genzoo.conditions import NO_CONDITIONS, Conditions
from genzoo.config import C
from genzoo.errors import CapabilityError

if TYPE_CHECKING:
    from genzoo.model import Model


class Sampler(Configured[C]):
    """A sequence of states in a model's space, the last of which is the sample.

    A sampler has no state of its own: what it needs from one state to the next is kept in local
    variables of ``trajectory``.

    Class attributes:
        requires: The classes and capabilities that a model must have.
        is_markov_chain: Whether the states form Markov chains whose stationary distribution is the
            model's. Metrics of chains then apply.
        is_stochastic: Whether samples depend on the seed; those of a translation do not.

    Arguments:
        config: An instance of the sampler's ``Config``.
    """

    requires: ClassVar[tuple[type, ...]] = ()
    is_markov_chain: ClassVar[bool] = False
    is_stochastic: ClassVar[bool] = True

    @abc.abstractmethod
    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield states, each of shape (num, ...), from first to last.

        Arguments:
            model: What to draw from.
            num: The number of chains, paths or draws.
            start: Initial states; the sampler draws its own if None.
            condition: ``num`` rows of each condition of the model, by its name, in canonical
                form on the model's device; see `GenerativeModel.checked_condition`.
            generator: The only source of randomness, on the model's device.
        """

    def num_states(self, model: Model) -> int | None:
        """Return the number of states of a trajectory, or None if it is not known beforehand."""
        return None

    def checked(self, model: Model) -> Any:
        """Return the model if it has what the sampler ``requires``.

        Raises:
            CapabilityError: The model lacks it.
        """
        for needed in self.requires:
            if not isinstance(model, needed):
                raise CapabilityError(
                    f"The sampler {type(self).__name__} needs a model that is a "
                    f"{needed.__name__}; {type(model).__name__} is not. Leave it out to use the "
                    "model's own."
                )
        return model

    def sample_state(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the last state of a trajectory.

        Raises:
            CapabilityError: The trajectory has no state.
        """
        states = self.trajectory(model, num, start=start, condition=condition, generator=generator)
        return last_of(states, type(self).__name__)


class OneDraw(Sampler[C]):
    """A sampler whose trajectory has one state, the sample; abstract."""

    def num_states(self, model: Model) -> int:
        """Return 1."""
        return 1

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the sample, (num, ...)."""
        known = self.checked(model)
        codes = self.codes(known, num, generator) if start is None else start
        yield self.decode(known, codes, condition, generator)

    def codes(self, model: Any, num: int, generator: torch.Generator) -> Tensor:
        """Draw what the sample is made from, where no ``start`` is given; by default nothing.

        Arguments:
            model: What to draw from, checked.
            num: How many draws there are.
            generator: The only source of randomness, on the model's device.

        Returns:
            Codes with shape (num, ...).
        """
        return torch.empty(num, 0, device=model.device)

    @abc.abstractmethod
    def decode(
        self, model: Any, z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return the sample with shape (num, ...).

        Arguments:
            model: What to draw from, checked.
            z: Codes with shape (num, ...).
            condition: ``num`` rows of each condition, by its name.
            generator: The only source of randomness, on the model's device.
        """


def last_of(states: Iterable[Tensor], who: str) -> Tensor:
    """Return the last state of the trajectory of a sampler called ``who``.

    Raises:
        CapabilityError: The trajectory has no state.
    """
    last = deque(states, maxlen=1)
    if not last:
        raise CapabilityError(f"{who} yielded no state to sample from.")
    return last[0]


def bernoulli(*, logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw zeros and ones with probabilities σ(logits), and NaN for logits that are not finite.

    So a model whose values overflow does not silently draw zeros and ones:
    `GenerativeModel.sample` raises an error.

    Arguments:
        logits: log(p / (1 − p)), of any shape; the draws have the same shape and dtype.
        generator: The only source of randomness, on the device of ``logits``.
    """
    logits = logits.detach()
    u = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    # u < NaN is false, a zero; 0 · NaN and 0 · ∞ are NaN, and 0 times anything else adds nothing.
    return u.lt_(logits.sigmoid()).add_(logits, alpha=0)
