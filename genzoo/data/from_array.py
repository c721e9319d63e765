"""Datasets from arrays, after checks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.data.dataset import ArrayDataset, rows_at_once
from genzoo.data.fields import label_space
from genzoo.errors import DataError
from genzoo.spaces import Binary, Real, Space, Unit
from genzoo.spec import DataInfo

_MOST_LEVELS = 2**16
"""Finer steps cannot be distinguished in float32."""


def from_array(
    x: np.ndarray[Any, Any] | Tensor,
    name: str,
    *,
    label: np.ndarray[Any, Any] | Tensor | None = None,
    scale: float = 1.0,
) -> ArrayDataset:
    """Make a dataset from an array, and detect its kind of data.

    Arguments:
        x: One row for each example, (N, ...).
        name: The dataset's name.
        label: One class index for each row.
        scale: What every value is divided by.

    Raises:
        DataError: It is empty, not numeric, one-dimensional, or contains NaN or infinity; or the
            labels are not one class index per row.
    """
    rows = _numeric(x, name)
    if rows.ndim < 2:
        raise DataError(
            f"{name} has shape {tuple(rows.shape)}: one row for each example is needed, (N, ...)."
        )
    if rows.numel() == 0:
        raise DataError(f"{name} is empty: its shape is {tuple(rows.shape)}.")
    low, high = _range(rows, name)
    space = _space(rows, low / scale, high / scale, scale)
    fields: dict[str, Space] = {"x": space}
    classes = None if label is None else _labels(label, len(rows), name)
    if classes is not None:
        fields["label"] = label_space(int(classes.max()) + 1)
    info = DataInfo(fields=fields, range={"x": space.bounds or (low / scale, high / scale)})
    return ArrayDataset(rows, info, name, classes, scale)


def _bytes(rows: Tensor) -> bool:
    return rows.dtype == torch.uint8


def _numeric(x: Any, name: str) -> Tensor:
    """Return an array as a tensor of uint8 if it has bytes or bools, else of float32."""
    values = x.detach().cpu() if isinstance(x, Tensor) else _array(x, name)
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "buif":
            raise DataError(f"{name} holds {values.dtype} values; numbers are needed.")
        small = values.dtype in (np.uint8, np.bool_)
        values = torch.from_numpy(values.astype(np.uint8 if small else np.float32))
    if values.is_complex():
        raise DataError(f"{name} holds {values.dtype} values; real numbers are needed.")
    return values.to(torch.uint8) if values.dtype in (torch.uint8, torch.bool) else values.float()


def _array(x: Any, name: str) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise DataError(f"{name} is not an array: {error} Make its rows equal.") from error


def _range(x: Tensor, name: str) -> tuple[float, float]:
    low, high = (value.item() for value in torch.aminmax(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        wrong = ~torch.isfinite(x).flatten(1).all(1)
        raise DataError(
            f"{name} holds NaN or infinity, in {int(wrong.sum())} of {len(x)} rows, the first of "
            f"which is row {int(wrong.nonzero()[0])}. Remove or fill them."
        )
    return low, high


def _space(x: Tensor, low: float, high: float, scale: float) -> Space:
    """Return the space of rows from their minimum and maximum after division."""
    shape = tuple(x.shape[1:])
    if low < 0 or high > 1:
        return Real(shape=shape)
    ends = x.amin(), x.amax()
    pieces = torch.split(x, rows_at_once(x.shape[1:]))
    two = all(bool(((p == ends[0]) | (p == ends[1])).all()) for p in pieces)
    if two and {low, high} <= {0.0, 1.0}:
        return Binary(shape=shape)
    whole = _bytes(x) and scale % 1 == 0 and scale < _MOST_LEVELS
    return Unit(shape=shape, levels=int(scale) + 1 if whole else None)


def _labels(label: Any, num: int, name: str) -> Tensor:
    given = (
        label.detach().cpu() if isinstance(label, Tensor) else _array(label, f"label of {name}")
    )
    # Only after the shape was checked, because integers take up to eight times the memory.
    values = _whole(given) if tuple(given.shape) == (num,) else None
    if values is None or int(values.min()) < 0:
        least = values.min().item() if values is not None and values.numel() else None
        raise DataError(
            f"The labels of {name} must be {num} whole numbers from 0, one for each row; got "
            f"{given.dtype} values of shape {tuple(given.shape)}"
            f"{'' if least is None else f', with the minimum {least}'}."
        )
    return values


def _whole(values: np.ndarray[Any, Any] | Tensor) -> Tensor | None:
    """Return integers of any width and byte order as int64; None for other values."""
    if isinstance(values, np.ndarray):
        return torch.from_numpy(values.astype(np.int64)) if values.dtype.kind in "bui" else None
    return None if values.is_floating_point() or values.is_complex() else values.long()
