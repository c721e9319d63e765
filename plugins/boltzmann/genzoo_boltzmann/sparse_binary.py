"""Products with zeros and ones, most of them zeros, as sums of what the ones select."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# From here on summing is the faster way on a CPU: measured by benchmarks/binary_products.py.
_LARGEST_SHARE_ON = 0.2
_FEWEST_COLUMNS = 256
_FEWEST_VALUES = 2**14

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ones:
    """Where a matrix of zeros and ones has its ones.

    Arguments:
        rows: The row of each one, ascending.
        columns: The column of each one, ascending within a row.
        shape: The shape of the matrix.
    """

    rows: Positions
    columns: Positions
    shape: tuple[int, int]

    @classmethod
    def of(cls, mask: np.ndarray[Any, np.dtype[np.bool_]], shape: tuple[int, int]) -> Ones:
        """Return where a mask is true, given row by row as one vector."""
        on = np.flatnonzero(mask)
        rows = on // shape[1]
        return cls(rows, on - rows * shape[1], shape)

    def matmul(self, M: Tensor) -> Tensor:
        """Return the matrix times M, (N, D), without a gradient: sums of rows of M."""
        starts = np.searchsorted(self.rows, np.arange(self.shape[0]))
        # Detached, for torch prepares a gradient of a parameter's rows even where none is taken.
        return F.embedding_bag(
            torch.from_numpy(self.columns), M.detach(), torch.from_numpy(starts), mode="sum"
        )

    def above(self, other: Ones) -> Ones:
        """Return the ones of the two matrices stacked, this one above the other."""
        (top, width), (bottom, _) = self.shape, other.shape
        rows = np.concatenate([self.rows, top + other.rows])
        return Ones(rows, np.concatenate([self.columns, other.columns]), (top + bottom, width))

    @property
    def T(self) -> Ones:
        """The ones of the transposed matrix."""
        height, width = self.shape
        mask = np.zeros(height * width, dtype=bool)
        mask[self.columns * height + self.rows] = (
            True  # As fast as to sort them, whatever the width.
        )
        return Ones.of(mask, (width, height))


def few_ones(v: Tensor, M: Tensor) -> Ones | None:
    """Return the ones of v, (N, K), where adding up rows of M, (K, D), is faster than v @ M.

    That is on a CPU, where M has many columns and v zeros and few ones. None where it is not, or
    where v holds other values.
    """
    if v.device.type != "cpu" or M.shape[1] < _FEWEST_COLUMNS or v.numel() < _FEWEST_VALUES:
        return None
    total = v.sum().item()
    if total > _LARGEST_SHARE_ON * v.numel():
        return None
    found = Ones.of(v.bool().numpy().ravel(), (v.shape[0], v.shape[1]))
    return found if len(found.rows) == total else None  # Not all of them are ones.


@torch.no_grad()
def binary_addmm(bias: Tensor, v: Tensor, M: Tensor, ones: Ones | None) -> Tensor:
    """Return bias + v @ M, (N, D), for a bias (D,), without a gradient.

    Arguments:
        bias: What is added to each row.
        v: Values in [0, 1], (N, K).
        M: What they are multiplied by, (K, D).
        ones: Where v is one, as `few_ones` finds it.
    """
    return torch.addmm(bias, v, M) if ones is None else ones.matmul(M).add_(bias)
