"""Rows of map-style datasets that are read item by item."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data.arrays.from_array import from_array
from genzoo.data.columns.column import ColumnNames
from genzoo.data.columns.from_columns import Kind
from genzoo.data.dataset import Dataset
from genzoo.data.items.form import form_of
from genzoo.data.items.images import Pictures
from genzoo.data.items.labels import ItemLabels
from genzoo.data.items.seeded import seeded
from genzoo.errors import DataError, GenzooError
from genzoo.spaces import Space, Text
from genzoo.spaces.rules import renumbered
from genzoo.spec import DataInfo

T = TypeVar("T")
_PROBES, _VALUES = 1000, 2**26
"""The most rows, and the most values of x, from which the kind of the data is inferred."""


class ItemRows(Dataset):
    """The rows of a map-style dataset, such as one of torch, read item by item.

    The kind of x is inferred from at most 1,000 items, evenly spread over all, and every batch is
    checked against it. Transforms that draw from the global random streams draw from the batch's
    generator instead.

    Arguments:
        items: The dataset, with a length and items by index. An item is x, a tuple of x and a
            label, or a mapping.
        chosen: The keys that the holder names.
        kind: What is known of the values of x.
        name: The dataset's name.
        label: The label of every row, (N,), if it is not in the items.

    Raises:
        DataError: An item cannot be read, or has another form, shape or kind than others. The
            message names the row.
    """

    def __init__(
        self, items: Any, chosen: ColumnNames, kind: Kind, name: str, label: Any = None
    ) -> None:
        self.items, self.name, self.kind = items, name, kind
        if _num_items(items, name) == 0:
            raise DataError(f"{name} is empty: it has no rows.")
        first = self._read([0], seeds.generator(0))[0]
        self.form = self._of_row(0, partial(form_of, first, chosen))
        rows = _spread(len(items), self._of_row(0, partial(self.form.x_in, first)))
        probes = self._read(rows, seeds.generator(0))
        found = self._each(rows, probes, self.form.x_in)
        self.pictures = Pictures.of(found)
        sample = from_array(
            self._stacked(rows, found), name, space=kind.space, scale=kind.scale, like=kind.like
        )
        labels = None
        if self.form.label is not None and label is None:
            labels = self._each(rows, probes, self.form.label_in)
        self.label = ItemLabels.of(
            items, name, given=label, rows=rows, labels=labels, names=kind.label_names
        )
        fields: dict[str, Space] = {"x": sample.info["x"]}
        if self.label.space is not None:
            fields["label"] = self.label.space
        if self.form.text is not None:
            fields["text"] = Text()
        self.info = DataInfo(fields=fields, range=sample.info.range)
        self.notes = (*sample.notes, *self.pictures.notes, *self.form.notes, *self.label.notes)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.items)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``.

        Raises:
            DataError: A row does not fit the others; the message names it.
        """
        index = torch.as_tensor(indices, dtype=torch.long)
        rows = index.tolist()
        items = self._read(rows, generator)
        found: dict[str, Any] = {"x": self._x(rows, items)}
        if self.label.known is not None:
            found["label"] = self.label.known[index]
        elif self.form.label is not None:
            labels = self.label.checked(rows, self._each(rows, items, self.form.label_in))
            found |= {} if self.label.space is None else {"label": labels}
        if self.form.text is not None:
            found["text"] = self._each(rows, items, self.form.text_in)
        return found

    def labels(self) -> Tensor | None:
        """Return the label of every row, if the dataset lists them."""
        return self.label.known

    def _x(self, rows: list[int], items: Sequence[Any]) -> Tensor:
        space, kind = self.info["x"], self.kind
        if not rows:
            return torch.empty(0, *space.event_shape, dtype=space.dtype)
        values = self._stacked(rows, self._each(rows, items, self.form.x_in))
        try:
            fits = from_array(values, self.name, space=kind.space, scale=kind.scale, like=space)
        except DataError as error:
            raise DataError(renumbered(str(error), "row", rows)) from error
        x: Tensor = fits.batch(range(len(rows)))["x"]
        return x

    def _read(self, rows: Sequence[int], generator: torch.Generator | None) -> list[Any]:
        """Return items, whose random transforms draw from the generator."""
        with seeded(generator):
            return [self._of_row(row, partial(operator.getitem, self.items, row)) for row in rows]

    def _each(
        self, rows: Sequence[int], items: Sequence[Any], part: Callable[[Any], T]
    ) -> list[T]:
        """Return a part of each item."""
        return [
            self._of_row(row, partial(part, item)) for row, item in zip(rows, items, strict=True)
        ]

    def _of_row(self, row: int, ask: Callable[[], T]) -> T:
        """Return what ``ask`` returns; its error names the row."""
        try:
            return ask()
        except GenzooError as error:
            raise DataError(f"Row {row} of {self.name} {error}") from error
        except Exception as error:  # The dataset is other people's code and may raise anything.
            raise DataError(
                f"Row {row} of {self.name} cannot be read: {type(error).__name__}: {error}"
            ) from error

    def _stacked(self, rows: Sequence[int], values: Sequence[Any]) -> np.ndarray[Any, Any]:
        """Return x of several rows as one array."""
        arrays = self._each(rows, values, self.pictures.as_array)
        for row, array in zip(rows, arrays, strict=True):
            if array.shape != arrays[0].shape:
                raise DataError(
                    f"Row {row} of {self.name} has the shape {array.shape}, row {rows[0]} has "
                    f"{arrays[0].shape}: all must have one. Crop or resize them in the dataset."
                )
        return np.stack(arrays)


def _num_items(items: Any, name: str) -> int:
    try:
        return len(items)
    except Exception as error:  # The dataset is other people's code and may raise anything.
        raise DataError(
            f"{name} does not say how many rows it has: {type(error).__name__}: {error}. Define "
            "__len__."
        ) from error


def _spread(num: int, first: Any) -> list[int]:
    """Return the rows from which the kind is inferred, evenly spread over all."""
    size = getattr(first, "size", 1)  # Pillow's is width and height.
    values = int(np.prod(size)) if isinstance(size, tuple) else int(size)
    most = max(2, min(_PROBES, _VALUES // max(1, values)))
    return sorted(set(np.linspace(0, num - 1, min(num, most)).round().astype(int).tolist()))
