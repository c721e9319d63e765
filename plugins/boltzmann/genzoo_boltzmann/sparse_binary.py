"""Products with sparse binary matrices, as sums of the selected rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# From here on, sums are faster on a CPU: measured by benchmarks/binary_products.py.
_LARGEST_SHARE_ON = 0.2
_FEWEST_COLUMNS = 256
_FEWEST_VALUES = 2**14
# Where the first rows have so many ones, the others are not counted.
_FIRST_ROWS, _CLEARLY_TOO_MANY = 8, 0.3

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ones:
    """The positions of ones in a binary matrix.

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
        """Return the positions where a mask is true; the mask is flattened row by row."""
        on = np.flatnonzero(mask)
        rows = on // shape[1]
        return cls(rows, on - rows * shape[1], shape)

    def matmul(self, M: Tensor) -> Tensor:
        """Return the matrix times M, (N, D), as sums of rows of M, without a gradient."""
        starts = np.searchsorted(self.rows, np.arange(self.shape[0]))
        # Detached, because torch prepares a gradient of a parameter's rows even if none is needed.
        return F.embedding_bag(
            torch.from_numpy(self.columns), M.detach(), torch.from_numpy(starts), mode="sum"
        )

    def above(self, other: Ones) -> Ones:
        """Return the ones of this matrix stacked on top of another one."""
        (top, width), (bottom, _) = self.shape, other.shape
        rows = np.concatenate([self.rows, top + other.rows])
        return Ones(rows, np.concatenate([self.columns, other.columns]), (top + bottom, width))

    @property
    def T(self) -> Ones:
        """The ones of the transposed matrix."""
        height, width = self.shape
        mask = np.zeros(height * width, dtype=bool)
        mask[self.columns * height + self.rows] = True  # As fast as sorting, for every width.
        return Ones.of(mask, (width, height))


def few_ones(v: Tensor, M: Tensor) -> Ones | None:
    """Return the ones of v (N, K) if sums of rows of M (K, D) are faster than v @ M, else None.

    They are on a CPU, if M has many columns and v has zeros and few ones only.
    """
    if v.device.type != "cpu" or M.shape[1] < _FEWEST_COLUMNS or v.numel() < _FEWEST_VALUES:
        return None
    first = v[:_FIRST_ROWS]
    if first.sum().item() > _CLEARLY_TOO_MANY * first.numel():
        return None
    total = v.sum().item()
    if total > _LARGEST_SHARE_ON * v.numel():
        return None
    found = Ones.of(v.bool().numpy().ravel(), (v.shape[0], v.shape[1]))
    return found if len(found.rows) == total else None  # Some values are neither zero nor one.


def binary_addmm(bias: Tensor, v: Tensor, M: Tensor, ones: Ones | None) -> Tensor:
    """Return bias + v @ M, (N, D), for a bias (D,), without a graph.

    Arguments:
        bias: The bias of each row.
        v: Values in [0, 1], (N, K).
        M: The matrix, (K, D).
        ones: The ones of v, from `few_ones`.
    """
    return torch.addmm(bias, v, M) if ones is None else ones.matmul(M).add_(bias)
