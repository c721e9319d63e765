"""Datasets from arrays, after checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genzoo.config import shown
from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.reading import Reader, Reading
from genzoo.data.arrays.rows import as_array, stored_rows
from genzoo.data.arrays.splits import read_like
from genzoo.data.dataset import ArrayDataset
from genzoo.data.fields import label_space
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Space, Text
from genzoo.spec import DataInfo

_UNKNOWN = -1


def from_array(
    x: np.ndarray[Any, Any] | Tensor | Sequence[Any],
    name: str,
    *,
    label: np.ndarray[Any, Any] | Tensor | Sequence[int] | None = None,
    label_names: Sequence[str] = (),
    text: Sequence[str] | None = None,
    scale: float | None = None,
    space: str | None = None,
    like: Space | None = None,
) -> ArrayDataset:
    """Make a dataset from an array, and infer its kind of data.

    The array is neither copied nor converted: each batch is. `genzoo.data.arrays.reading` has the
    rules of inference; what they find in an unusual way is in the dataset's ``notes``.

    Arguments:
        x: One row for each example, (N, ...).
        name: The dataset's name.
        label: One class index for each row, or −1 for a row without a label.
        label_names: The name of each class.
        text: One text for each row.
        scale: What every value is divided by.
        space: The registered name of the space of the rows, in place of inference.
        like: The space of another split of the same data, which these rows must fit.

    Raises:
        DataError: It is empty, not numeric, one-dimensional, or contains NaN or infinity; its
            values have two readings, or are not in the space; or there is not one label and one
            text for each row.
        UnknownNameError: There is no space with this name.

    >>> import numpy as np
    >>> from_array(np.array([[0.5, 0.0], [0.2, 1.0]]), "greys").info["x"]
    Unit(shape=(2,), levels=None)
    """
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise ConfigError(f"scale must be a finite number above 0, got {shown(scale)}.")
    rows = _rows(x, name)
    reading = _read(Reader(rows, name, scale), space, like)
    fields: dict[str, Space] = {"x": reading.space}
    classes = None if label is None else _labels(label, len(rows), name)
    if classes is not None:
        fields["label"] = _label_space(classes, label_names, name)
    if text is not None:
        fields["text"] = _texts(text, len(rows), name)
    dataset = ArrayDataset(
        reading.layout.arrange(rows),
        DataInfo(fields=fields, range={"x": reading.ends}),
        name,
        classes,
        reading.scale,
        text=text,
        convert=Conversion(reading.space, reading.scale, reading.clip, reading.rewrite),
    )
    dataset.notes = reading.notes
    return dataset


def _rows(x: Any, name: str) -> Tensor:
    rows = stored_rows(x, name)
    if rows.ndim < 2:
        raise DataError(
            f"{name} has shape {tuple(rows.shape)}: one row for each example is needed, (N, ...)."
        )
    if rows.numel() == 0:
        raise DataError(f"{name} is empty: its shape is {tuple(rows.shape)}.")
    return rows


def _read(reader: Reader, space: str | None, like: Space | None) -> Reading:
    if like is not None:
        return read_like(reader, like, space)
    return reader.inferred() if space is None else reader.named(space)


def _labels(label: Any, num: int, name: str) -> Tensor | None:
    """Return labels as int64; None if no row has one."""
    given = (
        label.detach().cpu() if isinstance(label, Tensor) else as_array(label, f"label of {name}")
    )
    # Only after the shape was checked, because integers take up to eight times the memory.
    values = _whole(given) if tuple(given.shape) in ((num,), (num, 1)) else None
    if values is None or int(values.min()) < _UNKNOWN:
        least = values.min().item() if values is not None and values.numel() else None
        raise DataError(
            f"The labels of {name} must be {num} whole numbers from 0, one for each row, or −1 "
            f"for a row without one; got {given.dtype} values of shape {tuple(given.shape)}"
            f"{'' if least is None else f', with the minimum {least}'}."
        )
    values = values.reshape(num)
    return None if int(values.max()) == _UNKNOWN else values


def _whole(values: np.ndarray[Any, Any] | Tensor) -> Tensor | None:
    """Return integers of any width and byte order as int64; None for other values."""
    if isinstance(values, np.ndarray):
        # What int64 cannot hold would become negative.
        fits = values.dtype.kind in "bui" and (values.size == 0 or int(values.max()) < 2**63)
        return torch.from_numpy(values.astype(np.int64)) if fits else None
    return None if values.is_floating_point() or values.is_complex() else values.long()


def _label_space(classes: Tensor, names: Sequence[str], name: str) -> Space:
    num = int(classes.max()) + 1
    if names and num > len(names):
        raise DataError(
            f"{name} has the label {num - 1}, but names for {len(names)} classes only. Name the "
            "others too."
        )
    return label_space(len(names) or num, names)


def _texts(text: Sequence[str], num: int, name: str) -> Text:
    wrong = [one for one in text if not isinstance(one, str)]
    if wrong or len(text) != num:
        what = shown(wrong[0]) if wrong else f"{len(text)} texts"
        raise DataError(f"{name} needs {num} texts, one for each row; got {what}.")
    return Text()
