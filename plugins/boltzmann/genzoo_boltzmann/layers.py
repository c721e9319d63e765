"""Layers of binary units in a row, each connected with its neighbours: products and fields."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo_boltzmann import enumeration
from genzoo_boltzmann.couplings import Coupling
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.sparse_binary import Ones, binary_addmm, few_ones


class Layers:
    """The layers 0 to L of a deep machine, −E = Σ_l c_lᵀx_l + Σ_l x_{l−1}ᵀW_l x_l.

    The even layers are independent given the odd ones, and the other way round. Units of all even
    or of all odd layers are one row, (B, D), with the lower layers first.

    Arguments:
        W: The weights of each pair of neighbours: W_l is (N_{l−1}, N_l).
        biases: The biases of each layer, c_l of (N_l,).
    """

    def __init__(self, W: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        self.W, self.biases = list(W), list(biases)
        self.sizes = [len(c) for c in self.biases]

    def __len__(self) -> int:
        """Return the number of layers, the visible one included."""
        return len(self.sizes)

    def bias(self, parity: int) -> Tensor:
        """Return the biases of the even (0) or odd (1) layers, (D,)."""
        return torch.cat(self.biases[parity::2])

    def split(self, units: Tensor, parity: int) -> dict[int, Tensor]:
        """Return the units of each even or odd layer, by its number."""
        parts = units.split_with_sizes(self.sizes[parity::2], dim=1)
        return dict(zip(range(parity, len(self), 2), parts, strict=True))

    def field(
        self, layer: int, units: Mapping[int, Tensor], bias: Tensor, beta: float = 1.0
    ) -> Tensor:
        """Return bias + β times the fields of a layer, (B, N_l), from those neighbours given."""
        if layer - 1 in units:
            bias = torch.addmm(bias, units[layer - 1], self.W[layer - 1], alpha=beta)
        if layer + 1 in units:
            bias = torch.addmm(bias, units[layer + 1], self.W[layer].T, alpha=beta)
        return bias

    def fields(
        self, others: Tensor, parity: int, bias: Tensor | None = None, beta: float = 1.0
    ) -> Tensor:
        """Return bias + β times the fields of the even or odd layers given the others, (B, D)."""
        units = self.split(others, 1 - parity)
        parts = self.biases[parity::2]
        if bias is not None:
            parts = list(bias.split_with_sizes(self.sizes[parity::2]))
        layers = range(parity, len(self), 2)
        return joined(
            [
                self.field(layer, units, part, beta)
                for layer, part in zip(layers, parts, strict=True)
            ]
        )

    def above_visible(self, v: Tensor, ones: Ones | None) -> Tensor:
        """Return c₁ + vᵀW₁, (B, N_1), without a gradient."""
        return binary_addmm(self.biases[1], v, self.W[0], ones)

    def odd_fields(self, even: Tensor, ones: Ones | None) -> Tensor:
        """Return the fields of the odd layers, without a gradient, with sums of rows for v."""
        units = self.split(even, 0)
        first = self.above_visible(units.pop(0), ones)
        biases = [first, *self.biases[3::2]]
        layers = range(1, len(self), 2)
        return joined(
            [self.field(layer, units, bias) for layer, bias in zip(layers, biases, strict=True)]
        )

    def log_sum_out(self, others: Tensor, parity: int) -> Tensor:
        """Return log Σ exp(−E) over the even or odd layers, (B,), given the others (B, D)."""
        linear = (others * self.bias(1 - parity)).sum(1)
        return linear + F.softplus(self.fields(others, parity)).sum(1)


class LayerCoupling(Coupling):
    """The terms of odd layers: Σ c_lᵀx_l for odd l, and the products of all pairs of neighbours.

    Arguments:
        layers: The layers, with detached weights.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.dtype, self.device = layers.W[0].dtype, layers.W[0].device

    @functools.cached_property
    def largest_field(self) -> float:
        """The largest absolute field of an odd unit over all states."""
        layers, found = self.layers, []
        for layer in range(1, len(layers), 2):
            bound = layers.biases[layer].abs() + layers.W[layer - 1].abs().sum(0)
            if layer < len(layers.W):
                bound = bound + layers.W[layer].abs().sum(1)
            found.append(float(bound.max()))
        return max(found)

    def hidden(self, v: Tensor) -> Tensor:
        """Return the fields of the odd layers, (B, D), for even layers."""
        return self.layers.odd_fields(v, self.ones(v))

    def visible(self, bias: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """Return bias + β times the fields of the even layers, (B, D), for odd ones."""
        return self.layers.fields(h, 0, bias, beta)

    def ones(self, even: Tensor) -> Ones | None:
        """Return the ones of the visible layer, if sums of rows of W₁ are faster."""
        return few_ones(even[:, : self.layers.sizes[0]], self.layers.W[0])


def log_sum(layers: Layers) -> Tensor:
    """Return log Z by a sum over the states of the even or the odd layers: the fewer units.

    Arguments:
        layers: The machine, in float64.
    """
    sizes = [sum(layers.sizes[parity::2]) for parity in (0, 1)]
    fewer = int(sizes[1] < sizes[0])
    run = functools.partial(_log_joint, fewer, len(layers.W))
    with full_precision(layers.W[0].device):
        return enumeration.log_sum(run, sizes[fewer], *layers.W, *layers.biases)


def _log_joint(parity: int, num_weights: int, units: Tensor, *parameters: Tensor) -> Tensor:
    """Return log Σ exp(−E) over the layers of the other parity, (B,), given those of this one."""
    layers = Layers(parameters[:num_weights], parameters[num_weights:])
    return layers.log_sum_out(units, 1 - parity)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Return parts of rows as one, without a copy if there is only one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)
