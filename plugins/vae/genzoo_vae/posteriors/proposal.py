"""Proposal: a distribution of all latents given examples, one layer after the other."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genzoo_vae.estimators.expectation import Layer

if TYPE_CHECKING:
    from genzoo_vae.latents import LatentModel


class Proposal(abc.ABC):
    """Abstract base class: q(z | x) for B rows, as a sequence of layers.

    Class attributes:
        is_prior: Whether it is p(z), so that log q − log p = 0.

    Arguments:
        model: The model of the layers.
    """

    is_prior: bool = False

    def __init__(self, model: LatentModel[Any]) -> None:
        self.model = model

    @property
    def order(self) -> tuple[int, ...]:
        """The levels in the order in which they are drawn; 0 is next to x."""
        return tuple(range(len(self.model.families)))

    @abc.abstractmethod
    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return the distribution of the next layer, given the values that are drawn."""


@dataclass(frozen=True)
class Rows:
    """Examples, and vectors of their conditions.

    Arguments:
        x: The examples, (B, *event_shape).
        y: The vectors, (B, C); None without conditions.
    """

    x: Tensor
    y: Tensor | None = None


class Recognised(Proposal):
    """q(z_1 | x) q(z_2 | z_1) …, from the model's recognition networks, and offsets if given.

    Arguments:
        model: The model.
        rows: The examples.
        offsets: What is added to the parameters of each layer, (B, P); None adds nothing.
    """

    def __init__(
        self, model: LatentModel[Any], rows: Rows, offsets: Sequence[Tensor] | None = None
    ) -> None:
        super().__init__(model)
        self.rows, self.offsets = rows, offsets

    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return q(z_l | z_{l−1}, x)."""
        level = len(drawn)
        parameters = self.model.recognise(level, self.rows, drawn)
        if self.offsets is not None:
            parameters = parameters.detach() + self.offsets[level]
        return Layer(self.model.families[level], parameters)


class Factorised(Proposal):
    """Mean field: q(z) = ∏_l q(z_l), with parameters of each row.

    Arguments:
        model: The model.
        parameters: Those of each layer, (B, P).
    """

    def __init__(self, model: LatentModel[Any], parameters: Sequence[Tensor]) -> None:
        super().__init__(model)
        self.parameters = parameters

    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return q(z_l)."""
        level = len(drawn)
        return Layer(self.model.families[level], self.parameters[level][None])


class FromPrior(Proposal):
    """p(z) itself, from the top layer down: for models whose condition decides the latents.

    Arguments:
        model: The model.
        rows: The examples.
    """

    is_prior = True

    def __init__(self, model: LatentModel[Any], rows: Rows) -> None:
        super().__init__(model)
        self.rows = rows

    @property
    def order(self) -> tuple[int, ...]:
        """From the top layer down."""
        return super().order[::-1]

    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return p(z_l | z_{l+1})."""
        level = len(self.model.families) - 1 - len(drawn)
        above = drawn[-1] if drawn else None
        parameters = self.model.prior_parameters(level, above, self.rows.y)
        # Without conditions or a layer above, they are the same for all rows.
        parameters = parameters.expand(-1, len(self.rows.x), -1)
        return Layer(self.model.families[level], parameters)
