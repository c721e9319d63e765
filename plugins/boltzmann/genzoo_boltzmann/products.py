"""Products with zeros and ones, most of them zeros, as sums of what the ones select."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# From here on summing is the faster way on a CPU: measured by benchmarks/binary_products.py.
_LARGEST_SHARE_ON = 0.2
_FEWEST_COLUMNS = 256
_FEWEST_VALUES = 2**14


@torch.no_grad()
def binary_matmul(v: Tensor, M: Tensor) -> Tensor:
    """Return v @ M, (N, D), for v in [0, 1], (N, K), and M, (K, D), without a gradient.

    On a CPU, where v holds zeros and few ones, the rows of M that the ones select are added up:
    the work is that of the ones, and finding them costs less than multiplying by the zeros.
    """
    sums = _sums_of_selected(v, M)
    return v @ M if sums is None else sums


@torch.no_grad()
def binary_addmm(bias: Tensor, v: Tensor, M: Tensor) -> Tensor:
    """Return bias + v @ M, (N, D), for a bias (D,), as `binary_matmul` does."""
    sums = _sums_of_selected(v, M)
    return torch.addmm(bias, v, M) if sums is None else sums.add_(bias)


def _sums_of_selected(v: Tensor, M: Tensor) -> Tensor | None:
    """Return v @ M as sums of rows of M, or None where the product is faster, or v not binary."""
    if v.device.type != "cpu" or M.shape[1] < _FEWEST_COLUMNS or v.numel() < _FEWEST_VALUES:
        return None
    total = v.sum().item()
    if total > _LARGEST_SHARE_ON * v.numel():
        return None
    on = np.flatnonzero(v.bool().numpy())
    if len(on) != total:  # Not all of them are ones.
        return None
    row_starts = np.searchsorted(on, np.arange(0, v.numel(), v.shape[1]))
    columns = torch.from_numpy(on % v.shape[1])
    # Detached, for torch prepares a gradient of a parameter's rows even where none is taken.
    return F.embedding_bag(columns, M.detach(), torch.from_numpy(row_starts), mode="sum")
