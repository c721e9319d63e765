"""The rows of a window side by side, so that a batch is taken from them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.rows import take
from genzoo.data.dataset import ArrayDataset, Dataset


@dataclass(frozen=True)
class Part:
    """The rows of a chunk.

    Arguments:
        rows: The rows.
        shelf: Where they lie with others; None if they lie by themselves.
        begin: The place of their first row there.
    """

    rows: Dataset
    shelf: Shelf | None = None
    begin: int = 0


class Shelf:
    """The memory of the rows of some chunks that are stored and converted alike.

    Arguments:
        sizes: The number of rows of each chunk, by its number.
    """

    def __init__(self, sizes: Mapping[int, int]) -> None:
        ends = torch.tensor([0, *sizes.values()]).cumsum(0).tolist()
        self._begins = dict(zip(sizes, ends[:-1], strict=True))
        self._num_rows = ends[-1]
        self._first: ArrayDataset | None = None
        self._values: dict[str, Tensor] = {}

    def put(self, chunk: int, rows: Dataset) -> Part:
        """Return the rows of a chunk with their values moved here, if they are alike.

        Arguments:
            chunk: Its number.
            rows: Its rows.
        """
        if type(rows) is not ArrayDataset or rows.text is not None:
            return Part(rows)
        if self._first is None:
            self._first = rows
            self._values = {
                name: torch.empty(self._num_rows, *value.shape[1:], dtype=value.dtype)
                for name, value in _values(rows).items()
            }
        if not _alike(rows, self._first, self._values):
            return Part(rows)
        begin = self._begins[chunk]
        for name, value in _values(rows).items():
            self._values[name][begin : begin + len(rows)] = value
        rows.x = self._values["x"][begin : begin + len(rows)]
        return Part(rows, self, begin)

    def batch(self, places: Tensor) -> dict[str, Any]:
        """Return the rows at places, converted."""
        found = {name: take(value, places) for name, value in self._values.items()}
        return found if self._first is None else {**found, "x": self._first.convert(found["x"])}


def shelf_of(parts: Sequence[Part]) -> Shelf | None:
    """Return the shelf where all parts lie; None if there is none."""
    first = parts[0].shelf
    return first if all(part.shelf is first for part in parts) else None


def _values(rows: ArrayDataset) -> dict[str, Tensor]:
    label = {} if rows.label is None else {"label": rows.label}
    return {"x": rows.x, **rows.columns, **label}


def _alike(rows: ArrayDataset, first: ArrayDataset, values: Mapping[str, Tensor]) -> bool:
    """Whether rows have the types, shapes and conversion of the first ones."""
    own = _values(rows)
    return (
        isinstance(rows.convert, Conversion)
        and rows.convert == first.convert
        and own.keys() == values.keys()
        and all(
            own[k].dtype == v.dtype and own[k].shape[1:] == v.shape[1:] for k, v in values.items()
        )
    )
