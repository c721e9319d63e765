"""The coupling of images and maps of hidden units by filters that all places share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from genzoo_boltzmann.couplings import BinaryDense, Coupling

_weight_gradient: Callable[..., Tensor] = conv2d_weight  # It has no annotations.


def units_of_maps(maps: Tensor, pool: int) -> Tensor:
    """Return maps (B, K, height, width) as units (B, H), sorted by their place in their block.

    Units at the same place of all blocks of pool × pool follow each other, map by map and row by
    row, as `PooledHidden` and `Convolution` have them.
    """
    blocks = F.pixel_unshuffle(maps, pool)
    num, (_, height, width) = maps.shape[1], blocks.shape[1:]
    return blocks.view(len(maps), num, pool**2, height, width).transpose(1, 2).flatten(1)


def maps_of_units(h: Tensor, maps: tuple[int, int, int], pool: int) -> Tensor:
    """Return units (B, H) as maps (B, K, height, width); see `units_of_maps`."""
    num, height, width = maps
    blocks = h.view(len(h), pool**2, num, height // pool, width // pool).transpose(1, 2)
    return F.pixel_shuffle(blocks.flatten(1, 2), pool)


def bank(W: Tensor, pool: int) -> Tensor:
    """Return the filters at each place of a block, (pool² · K, C, size + pool − 1, …).

    A convolution with stride ``pool`` then has the fields of units in the order of
    `units_of_maps`.

    Arguments:
        W: The filters, (K, C, size, size).
        pool: The height and width of a block.
    """
    places = [(i, j) for i in range(pool) for j in range(pool)]
    return torch.cat([F.pad(W, (j, pool - 1 - j, i, pool - 1 - i)) for i, j in places])


def filter_products(v: Tensor, h: Tensor, W: Tensor, pool: int) -> Tensor:
    """Return Σ over rows and places r of h^k_r times the part of v at r, in the shape of W.

    It is the derivative of Σ hᵀ(w ⋆ v) with respect to W.

    Arguments:
        v: Images, (B, C, height, width).
        h: Units, (B, H).
        W: The filters, (K, C, size, size).
        pool: The height and width of a block.
    """
    num, channels, size, _ = W.shape
    wide = size + pool - 1
    rows, columns = ((side - wide) // pool + 1 for side in v.shape[2:])
    maps = h.view(len(h), pool**2 * num, rows, columns)
    shape = (pool**2 * num, channels, wide, wide)
    found = _weight_gradient(v, shape, maps, stride=pool)
    shifted = found.view(pool, pool, num, channels, wide, wide)
    parts = [
        shifted[i, j, :, :, i : i + size, j : j + size] for i in range(pool) for j in range(pool)
    ]
    return torch.stack(parts).sum(0)


class Convolution(Coupling):
    """Σ_k Σ_r h^k_r ((w^k ⋆ v)_r + c_k), with all places r at which the filters fit.

    (w ⋆ v)_r = Σ_{c,s} w_{c,s} v_{c,r+s}. Units are in the order of `units_of_maps`.

    Arguments:
        W: The filters, (K, C, size, size).
        c: The bias of each map, (K,).
        image: The shape of v, (C, height, width).
        pool: The height and width of a block.
        dtype: The dtype of the products; by default that of the filters.
    """

    def __init__(
        self,
        W: Tensor,
        c: Tensor,
        image: tuple[int, ...],
        pool: int = 1,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype, self.device = dtype or W.dtype, W.device
        self.image, self.pool = image, pool
        self.W, self.c = W.detach().to(self.dtype), c.detach().to(self.dtype)

    @functools.cached_property
    def largest_field(self) -> float:
        """The largest |c + w ⋆ v| over all v of zeros and ones."""
        return float((self.W.abs().sum((1, 2, 3)) + self.c.abs()).max())

    @functools.cached_property
    def _bank(self) -> Tensor:
        return bank(self.W, self.pool)

    @functools.cached_property
    def _columns(self) -> Tensor:
        """The filters of the bank as columns, (C · size², pool² · K)."""
        return self._bank.flatten(1).T.contiguous()

    @functools.cached_property
    def _biases(self) -> Tensor:
        return self.c.repeat(self.pool**2)

    def unrolled(self) -> BinaryDense:
        """Return the same coupling with a weight for each pair of a pixel and a hidden unit."""
        pixels = torch.eye(math.prod(self.image), dtype=self.dtype, device=self.device)
        images = pixels.view(-1, *self.image)
        W = F.conv2d(images, self._bank, stride=self.pool).flatten(1)
        return BinaryDense(W, self._biases.repeat_interleave(W.shape[1] // len(self._biases)))

    def hidden(self, v: Tensor) -> Tensor:
        """Return c + w ⋆ v, (B, H), for v (B, V)."""
        images = v.view(len(v), *self.image)
        return F.conv2d(images, self._bank, self._biases, stride=self.pool).flatten(1)

    def visible(self, bias: Tensor, h: Tensor, beta: float = 1.0) -> Tensor:
        """Return bias + β Σ_k w^k ∗ h^k, (B, V), for h (B, H)."""
        # A product and a sum of its overlapping parts: several times as fast on a CPU as
        # conv_transpose2d with few channels.
        num, wide = len(self._bank), self._bank.shape[2]
        parts = self._columns @ h.view(len(h), num, h.shape[1] // num)
        field = F.fold(parts, self.image[1:], wide, stride=self.pool)
        return torch.add(bias, field.view(len(h), math.prod(self.image)), alpha=beta)
