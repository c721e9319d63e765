"""Datasets from columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from genzoo.data.arrays.from_array import from_array
from genzoo.data.columns.classes import Classes, are_classes, classes_of, texts_among
from genzoo.data.columns.column import Columns
from genzoo.data.columns.features import table_of
from genzoo.data.columns.label_notes import on_labels
from genzoo.data.columns.missing import is_missing
from genzoo.data.columns.roles import Roles
from genzoo.data.dataset import ArrayDataset
from genzoo.data.fields import label_space
from genzoo.spaces import Real, Space

_EXACT = 2**24
"""Whole numbers up to this are exact in float32."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of the values.

    Arguments:
        space: The registered name of the space of x; inferred if None, see `from_array`.
        scale: The divisor of x.
        like: The space of another split, which x must fit.
        class_names: The names of the classes of columns, if several splits share them.
        label_names: The names of the classes of the label, if another split has them.
    """

    space: str | None = None
    scale: float | None = None
    like: Space | None = None
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()


def from_columns(columns: Columns, roles: Roles, kind: Kind, name: str) -> ArrayDataset:
    """Return columns as a dataset.

    Arguments:
        columns: The columns.
        roles: Their roles.
        kind: What is known of their values.
        name: The dataset's name.

    Raises:
        DataError: A value is missing, not a number, or not a label. The message names the column
            and the row.
    """
    label = None
    if roles.label is not None:
        shared = {roles.label: kind.label_names} if kind.label_names else kind.class_names
        label = labels_in(columns, roles.label, name, shared)
    dataset = from_array(
        x_of(columns, roles, name),
        name,
        label=label.index if label else None,
        label_names=label.names if label else (),
        text=None if roles.text is None else _texts(columns.values[roles.text]),
        scale=kind.scale,
        space=kind.space,
        like=kind.like,
    )
    for column in roles.fields:
        _add_field(dataset, columns, column, name, kind)
    labels = () if label is None else on_labels(label, str(roles.label))
    rounded = _on_rounding(columns, roles) if roles.is_table and kind.scale is None else ()
    dataset.notes = (*columns.notes, *dataset.notes, *roles.notes, *labels, *rounded)
    return dataset


def x_of(columns: Columns, roles: Roles, name: str) -> np.ndarray[Any, Any]:
    """Return the rows of x, (N, ...).

    Raises:
        DataError: A value of a table is missing or not a number.
    """
    if roles.is_table:
        table = {column: columns.values[column] for column in roles.x}
        return table_of(table, name, has_label=roles.label is not None)
    return columns.values[roles.x[0]]


def labels_in(
    columns: Columns,
    column: str,
    name: str,
    class_names: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Classes:
    """Return a column as classes.

    Arguments:
        columns: The columns.
        column: The name of the column.
        name: The name of the data in messages.
        class_names: The names of the classes of columns, if several splits share them.

    Raises:
        DataError: A value is not a label, or not one of these classes.
    """
    shared, own = class_names.get(column, ()), columns.class_names.get(column, ())
    where, values = f"The column {column!r} of {name}", columns.values[column]
    if shared and not own:
        values = texts_among(values, shared)
    return classes_of(values, where, names=own).numbered_as(shared, where)


def _texts(values: np.ndarray[Any, Any]) -> list[str]:
    """Return captions; the empty text for a missing one."""
    return ["" if is_missing(value) else str(value) for value in values]


def _add_field(
    dataset: ArrayDataset, columns: Columns, column: str, name: str, kind: Kind
) -> None:
    """Add a further field: classes, or a number for each row."""
    values = columns.values[column].reshape(len(dataset))
    if not are_classes(values):
        space: Space = Real(shape=(1,))
        dataset.columns[column] = torch.from_numpy(values.astype(np.float32))[:, None]
    else:
        found = labels_in(columns, column, name, kind.class_names)
        num = max(int(found.index.max()) + 1, len(found.names), 1)
        space = label_space(num, found.names)
        dataset.columns[column] = torch.from_numpy(found.index)
    dataset.info = dataset.info.with_field(column, space)


def _on_rounding(columns: Columns, roles: Roles) -> Iterator[str]:
    """Yield a note for each column of numbers, such as times, that float32 makes equal."""
    for column in roles.x:
        values = columns.values[column]
        if values.dtype.kind not in "iuf" or np.abs(values.astype(np.float64)).max() <= _EXACT:
            continue
        if len(np.unique(values)) > len(np.unique(values.astype(np.float32))):
            yield (
                f"the column {column!r} holds numbers that are equal once they are rounded to "
                "float32. Subtract an offset, or leave it out."
            )
