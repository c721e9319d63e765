"""What an estimator sees: an expectation over layers of latents."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genzoo_vae.families.family import Family


@dataclass(frozen=True)
class Layer:
    """The distribution of one layer.

    Arguments:
        family: Its family.
        parameters: The parameters, (K or 1, B, P).
    """

    family: Family
    parameters: Tensor


@dataclass(frozen=True)
class Draws:
    """K draws of all layers for each of B rows.

    Arguments:
        layers: The distributions, in the order in which they are drawn.
        z: The values of each, (K, B, *shape).
    """

    layers: tuple[Layer, ...]
    z: tuple[Tensor, ...]

    @cached_property
    def log_q(self) -> Tensor:
        """Log q(z) = Σ_l log q(z_l | z_1, …, z_{l−1}), (K, B)."""
        pairs = zip(self.layers, self.z, strict=True)
        first, *rest = (layer.family.log_prob(layer.parameters, z) for layer, z in pairs)
        return sum(rest, start=first)

    def part(self, first: int, last: int) -> Draws:
        """Return the draws from ``first`` to ``last`` of each row."""

        def some(tensor: Tensor) -> Tensor:
            return tensor if len(tensor) == 1 else tensor[first:last]

        layers = (Layer(layer.family, some(layer.parameters)) for layer in self.layers)
        return Draws(tuple(layers), tuple(z[first:last] for z in self.z))

    def stopped(self) -> Draws:
        """Return the same draws, with parameters through which no gradient flows."""
        layers = (Layer(layer.family, layer.parameters.detach()) for layer in self.layers)
        return Draws(tuple(layers), self.z)


class Expectation(abc.ABC):
    """Abstract base class: E_q[F(f(z⁽¹⁾), …, f(z⁽ᴷ⁾))] for each of B rows.

    Each z⁽ᵏ⁾ is an independent draw of all layers, z_1 ~ q(z_1), z_2 ~ q(z_2 | z_1), and so on.
    F is an `Aggregate`, such as the mean.
    """

    @property
    @abc.abstractmethod
    def num_layers(self) -> int:
        """The number of layers."""

    @abc.abstractmethod
    def layer(self, drawn: Sequence[Tensor]) -> Layer:
        """Return the distribution of the next layer, given the values that are drawn."""

    @abc.abstractmethod
    def value(self, draws: Draws) -> Tensor:
        """Return f, (K, B), differentiable in z and in all parameters."""

    @property
    def inputs(self) -> Tensor | None:
        """What a baseline may depend on, (B, D): not on the draws. None if there is nothing."""
        return None

    def draw(self, how: Callable[[Layer], Tensor]) -> Draws:
        """Return draws of all layers, each made by a function of its distribution."""
        layers: list[Layer] = []
        z: list[Tensor] = []
        for _ in range(self.num_layers):
            layers.append(self.layer(z))
            z.append(how(layers[-1]))
        return Draws(tuple(layers), tuple(z))

    def drawn(self, num: int, generator: torch.Generator) -> Draws:
        """Return K = ``num`` draws of all layers, differentiable where their families are."""
        return self.draw(lambda layer: layer.family.draw(layer.parameters, num, generator))
