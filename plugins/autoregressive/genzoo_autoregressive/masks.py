"""Masks of MADE: degrees of places and hidden units, and which weights they allow."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo_autoregressive.chains import before
from genzoo_autoregressive.orders import more_orders

if TYPE_CHECKING:
    from genzoo_autoregressive.made import MADEConfig


@dataclass(frozen=True)
class Degrees:
    """The degrees of one mask.

    Arguments:
        ranks: The index of each place in the order, from 0, (D,).
        hidden: The degrees of the units of each hidden layer, from 1: a unit of degree m depends
            on the places of ranks below m.
    """

    ranks: Tensor
    hidden: tuple[Tensor, ...]

    def masks(self, num_inputs: int, num_parameters: int) -> list[Tensor]:
        """Return the masks of the layers, from below: (H_1, D E), (H_2, H_1), …, (D P, H_L).

        Arguments:
            num_inputs: E, the number of inputs of a place.
            num_parameters: P, the number of parameters of a place.
        """
        below = [(self.ranks + 1).repeat_interleave(num_inputs), *self.hidden]
        found = [m[:, None] >= k[None, :] for m, k in zip(self.hidden, below, strict=False)]
        last = self.ranks.repeat_interleave(num_parameters)[:, None] >= self.hidden[-1][None, :]
        return [*found, last]

    def direct_mask(self, num_inputs: int, num_parameters: int) -> Tensor:
        """Return the mask from inputs to parameters, (D P, D E)."""
        mask = before(self.ranks).repeat_interleave(num_parameters, 0)
        return mask.repeat_interleave(num_inputs, 1)


def degrees_of(order: Sequence[int], config: MADEConfig) -> Degrees:
    """Return the degrees of all masks: ranks (M, D), and units (M, H_l) of each layer, int32.

    They depend on the config alone.

    Arguments:
        order: The first order.
        config: The numbers of masks, orders and units, and the seed.
    """
    num, size = config.num_masks, len(order)
    orders = [order, *more_orders(size, config.num_orders, config.mask_seed)]
    ranks = [_inverse(orders[index % len(orders)]) for index in range(num)]
    drawn = [_drawn(config, size, index) for index in range(num)]
    return Degrees(
        _int32(ranks),
        tuple(_int32([d[layer] for d in drawn]) for layer in range(len(config.hidden_dims))),
    )


def _drawn(config: MADEConfig, num_places: int, index: int) -> list[list[int]]:
    """Return the degrees of each hidden layer, uniform from the lowest below to D − 1."""
    draws = random.Random(f"degrees {config.mask_seed} {index}")
    low, high, found = 1, max(1, num_places - 1), []
    for width in config.hidden_dims:
        layer = [low + int(draws.random() * (high - low + 1)) for _ in range(width)]
        low = min(layer)
        found.append(layer)
    return found


def by_degree(degrees: Tensor, num_places: int) -> list[Tensor]:
    """Return the units of degree 1, 2, …, D, as indices."""
    counts = torch.bincount(degrees - 1, minlength=num_places).tolist()
    return list(torch.split(torch.argsort(degrees, stable=True), counts))


def _inverse(order: Sequence[int]) -> list[int]:
    found = [0] * len(order)
    for index, place in enumerate(order):
        found[place] = index
    return found


def _int32(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32)
