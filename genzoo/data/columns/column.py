"""Columns of data, as tables, mappings and files of rows have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.data.columns.missing import is_missing
from genzoo.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The columns that the holder of data names, by their roles.

    Arguments:
        label: The column of labels; the empty text if none is. By default its name tells.
        text: The column of captions, likewise.
        drop: The columns to leave out.
    """

    label: str | None = None
    text: str | None = None
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """Columns of data.

    Arguments:
        values: The values of each column by its name, (N, ...).
        class_names: The names of the classes of columns that hold class indices.
        left_out: The names of what is not a column.
        notes: What was inferred or left out when they were read.
    """

    values: Mapping[str, np.ndarray[Any, Any]]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def without(self, names: Sequence[str]) -> Columns:
        """Return the other columns."""
        kept = {name: values for name, values in self.values.items() if name not in names}
        return replace(self, values=kept)


def columns_of(data: Mapping[Any, Any], name: str) -> Columns:
    """Return the columns of a mapping; what does not have values is left out.

    Arguments:
        data: The values by name.
        name: The name of the data in messages.

    Raises:
        DataError: Two names are equal as texts.
    """
    found: dict[str, Any] = {}
    for key, values in data.items():
        if str(key) in found:
            raise DataError(f"{name} has two columns with the name {str(key)!r}. Rename one.")
        found[str(key)] = as_column(values)
    left = tuple(key for key, values in found.items() if values is None)
    return Columns({key: v for key, v in found.items() if v is not None}, left_out=left)


def as_column(values: Any) -> np.ndarray[Any, Any] | None:
    """Return values as an array (N, ...); None if they are a single value or a text.

    Rows of one shape are stacked; rows of several shapes stay objects.
    """
    if isinstance(values, Tensor):
        values = as_numpy(values)
    if values is None or isinstance(values, (str, bytes, Mapping)):
        return None
    array = _array(values)
    if array.ndim == 0:
        return None
    return _stacked(array) if array.dtype.kind == "O" and array.ndim == 1 else array


def as_numpy(values: Tensor) -> np.ndarray[Any, Any]:
    """Return a tensor as an array, which shares its memory if numpy has the dtype."""
    given = values.detach().cpu()
    return (given.float() if given.dtype == torch.bfloat16 else given).numpy()


def _array(values: Any) -> np.ndarray[Any, Any]:
    """Return values as an array, of objects if they have several shapes or types."""
    if isinstance(values, (list, tuple)):
        some = next((value for value in values if not is_missing(value)), None)
        # Among texts, numpy would turn None into "None"; tensors it would take apart.
        if isinstance(some, (str, bytes, Tensor, np.ndarray)):
            return _objects(values)
    try:
        return np.asarray(values)
    except (ValueError, TypeError):
        return _objects(list(values))


def _objects(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # An assignment at once would unpack arrays.
        found[place] = value
    return found


def _stacked(cells: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return cells that are arrays of one shape as one array; others as they are."""
    if not all(isinstance(cell, (list, tuple, np.ndarray, Tensor)) for cell in cells):
        return cells
    try:
        return np.stack([as_numpy(c) if isinstance(c, Tensor) else np.asarray(c) for c in cells])
    except (ValueError, TypeError):
        return cells
