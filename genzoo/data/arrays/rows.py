"""Rows as they are stored: taken from arrays without a copy, and read by index or by blocks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.errors import DataError

_VALUES = 2**23
_UNSIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, *_UNSIGNED)


def stored_rows(x: Any, name: str) -> Tensor:
    """Return an array, a tensor or a nested list as a tensor of the stored type.

    The memory of an array is shared. It is copied only where torch cannot hold it: values in
    another byte order or in extended precision, and arrays with negative strides.

    Raises:
        DataError: It is not an array of real numbers.
    """
    rows = x.detach() if isinstance(x, Tensor) else _from_numpy(as_array(x, name), name)
    dense = rows.layout == torch.strided and not (rows.is_nested or rows.is_meta)
    if not dense or rows.dtype not in (*_FLOATS, *_WHOLE):
        form = "nested" if rows.is_nested else "meta" if rows.is_meta else rows.layout
        raise DataError(
            f"{name} holds {rows.dtype if dense else form} values; a dense array of real numbers "
            "is needed."
        )
    return rows.cpu()


def as_array(x: Any, name: str) -> np.ndarray[Any, Any]:
    """Return values as an array of numpy.

    Raises:
        DataError: Its rows have different lengths, or values are masked.
    """
    if isinstance(x, np.ma.MaskedArray) and bool(np.ma.getmaskarray(x).any()):
        raise DataError(f"{name} has masked values. Fill them, or leave these rows out.")
    try:
        return np.asarray(x)
    except ValueError as error:
        raise DataError(
            f"{name} is not an array: its rows have different shapes. Make them equal; x with "
            "labels is given as the tuple (X, y)."
        ) from error


def _from_numpy(array: np.ndarray[Any, Any], name: str) -> Tensor:
    kind = array.dtype
    if kind.kind not in "buif":
        raise DataError(f"{name} holds {kind} values; numbers are needed.")
    if kind.kind == "f" and kind.itemsize > 8:
        array = array.astype(np.float64)
    elif not kind.isnative:
        array = array.astype(kind.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    if array.flags.writeable:  # The filters of warnings are not safe in threads.
        return torch.from_numpy(array)
    with warnings.catch_warnings():  # Rows are never written, so they may be read-only.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def is_whole_type(rows: Tensor) -> bool:
    """Whether the type holds whole numbers only, or bools."""
    return not rows.dtype.is_floating_point


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Return the rows at an index, contiguous."""
    signed = _UNSIGNED.get(rows.dtype)
    if signed is not None:  # torch indexes wide types only if they are signed.
        return take(rows.view(signed), index).view(rows.dtype)
    return rows.index_select(0, index)  # Ten times as fast as rows[index].


def blocks(rows: Tensor, values: int = _VALUES) -> Iterator[Tensor]:
    """Yield all rows, some at a time: at most 4,096, with about ``values`` numbers."""
    size = rows_at_once(rows.shape[1:], values)
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def rows_at_once(event_shape: Sequence[int], values: int = _VALUES) -> int:
    """Return the number of rows that are widened at once: 4,096, or fewer for long rows."""
    return max(1, min(4096, values // max(1, math.prod(event_shape))))
