"""The distribution of one layer of latents."""

from __future__ import annotations

import abc
import math
from typing import ClassVar

import torch
from torch import Tensor

from genzoo.plugin import Space


class Family(abc.ABC):
    """Abstract base class: a distribution of a layer z of independent latents, by its parameters.

    Parameters are what a network returns, of shape (..., P), and are not restricted. Values have
    the shape (..., *shape). Leading dimensions are K draws of each of B rows; parameters that are
    the same for all draws have K = 1.

    Class attributes:
        title: What it is called in messages.
        is_positive: Whether its values cannot be below 0.

    Arguments:
        size: D, the number of latents.
    """

    title: ClassVar[str]
    is_positive: ClassVar[bool] = False

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values of one draw."""
        return (self.size,)

    @property
    def num_values(self) -> int:
        """The number of values of one draw."""
        return math.prod(self.shape)

    @property
    @abc.abstractmethod
    def num_parameters(self) -> int:
        """P, the number of parameters of the whole layer."""

    @property
    @abc.abstractmethod
    def codes(self) -> Space:
        """The space of values, as users see them."""

    @abc.abstractmethod
    def draw(self, parameters: Tensor, num: int, generator: torch.Generator) -> Tensor:
        """Draw z, (K, B, *shape), for parameters (K or 1, B, P)."""

    @abc.abstractmethod
    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return log q(z), (K, B), summed over the layer."""

    @abc.abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean, (..., *shape)."""

    def to_codes(self, z: Tensor) -> Tensor:
        """Return values as elements of `codes`."""
        return z

    def from_codes(self, codes: Tensor) -> Tensor:
        """Return elements of `codes` as values; the inverse of `to_codes`."""
        return codes
