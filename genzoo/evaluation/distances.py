"""Distances between many rows, in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_VALUES = 2**23
"""The number of distances in memory."""


def squared_distances(x: Tensor, y: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield ‖x_i − y_j‖² for blocks of rows of ``x`` (N, D) and all ``y`` (M, D).

    They are computed as ‖x‖² + ‖y‖² − 2x·y, which is exact for small integers such as binary
    pixels. Each block comes with the index of its first row.
    """
    norms = (y * y).sum(1)
    first = 0
    for block in torch.split(x, max(1, _VALUES // len(y))):
        lengths = (block * block).sum(1, keepdim=True)
        squared = torch.addmm(norms.expand(len(block), -1), block, y.T, alpha=-2)
        yield first, squared.add_(lengths).clamp_(min=0)
        first += len(block)


def own_radii(x: Tensor, k: int) -> Tensor:
    """Return the squared distance from each row of ``x`` (N, D) to its k-th neighbour, (N,).

    A row is not its own neighbour.
    """
    radii = []
    for first, squared in squared_distances(x, x):
        rows = torch.arange(len(squared), device=x.device)
        squared[rows, rows + first] = torch.inf
        radii.append(squared.topk(k, dim=1, largest=False).values[:, -1])
    return torch.cat(radii)


def nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared distance from each row to the nearest of the other set, (N,) and (M,).

    Arguments:
        x: Rows (N, D).
        y: Other rows (M, D).
    """
    from_x, from_y = [], y.new_full((len(y),), torch.inf)
    for _, squared in squared_distances(x, y):
        from_x.append(squared.amin(1))
        from_y = torch.minimum(from_y, squared.amin(0))
    return torch.cat(from_x), from_y
