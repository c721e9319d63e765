"""Indices of rows, as Python's sequences take them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import counted


def position(index: Any, num: int) -> int | None:
    """Return the row that an index means; None for a slice or several indices.

    Arguments:
        index: An integer, negative from the end.
        num: The number of rows.

    Raises:
        IndexError: There is no such row.
    """
    if isinstance(index, Tensor) and index.ndim:
        return None
    try:
        row = operator.index(index)
    except TypeError:
        return None
    if not -num <= row < num:
        raise IndexError(f"Row {row} does not exist: the dataset has {counted(num, 'row')}.")
    return row % num


def positions(index: slice | Sequence[int] | Tensor | Any, num: int) -> Tensor:
    """Return the rows that a slice, several indices or a mask of bools mean, (B,) int64.

    Arguments:
        index: Integers are negative from the end; a mask has one bool for each row.
        num: The number of rows.

    Raises:
        IndexError: There is no such row, or the mask has another length.
        TypeError: They are not indices.
    """
    if isinstance(index, slice):
        return torch.arange(num)[torch.arange(*index.indices(num))]
    found = _indices(index)
    if found.dtype == torch.bool:
        if len(found) != num:
            raise IndexError(
                f"The mask has {len(found)} values: the dataset has {counted(num, 'row')}."
            )
        return found.nonzero().flatten()
    wrong = found[(found < -num) | (found >= num)]
    if len(wrong):
        raise IndexError(
            f"Row {int(wrong[0])} does not exist: the dataset has {counted(num, 'row')}."
        )
    return found % num


def _indices(index: Any) -> Tensor:
    """Return bools, or integers as int64."""
    try:
        found = torch.as_tensor(index)
    except (TypeError, ValueError, RuntimeError):
        found = torch.empty(0, 0)
    if found.numel() == 0 and found.ndim == 1:
        return found.long()
    if found.ndim != 1 or found.is_floating_point() or found.is_complex():
        raise TypeError(
            f"A dataset is indexed by an integer, a slice, integers or a mask; got {index!r}."
        )
    return found if found.dtype == torch.bool else found.long()
