"""Rows of the package `datasets`, in memory or on a disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from genzoo.data.columns.column import ColumnNames, Columns, as_column
from genzoo.data.columns.roles import LABEL_NAMES, TEXT_NAMES, first_of
from genzoo.data.dataset import Dataset
from genzoo.data.hub.source import HubConfig, HubRows
from genzoo.data.tables.frames import comes_from
from genzoo.errors import DataError

_PLAIN = ("Value", "ClassLabel")
"""The features whose values are single ones."""


def is_hf(data: Any) -> bool:
    """Whether ``data`` are of the package `datasets`, which is not imported."""
    return comes_from(data, "datasets")


def dataset_of_rows(rows: Any, chosen: ColumnNames, name: str) -> Dataset | Columns:
    """Return rows with images as a dataset, and others as their columns.

    Arguments:
        rows: A ``datasets.Dataset``.
        chosen: The columns that the holder names.
        name: The name of the data.

    Raises:
        DataError: They are not one map-style split.
    """
    check_map_style(rows, name)
    kept = rows.remove_columns([c for c in chosen.drop if c in rows.column_names])
    if not has_images(kept):
        return columns_of_rows(rows, name)
    return HubRows(kept, image_columns(kept, chosen, HubConfig()), name)


def image_columns(rows: Any, chosen: ColumnNames, config: HubConfig) -> HubConfig:
    """Return how rows with images are read: with the named columns, or those of the usual names.

    Arguments:
        rows: The rows.
        chosen: The columns that the holder names; the empty text stands for none.
        config: How images become rows.
    """
    kinds = {column: type(feature).__name__ for column, feature in rows.features.items()}
    label, text = chosen.label, chosen.text
    if label is None and list(kinds.values()).count("ClassLabel") != 1:
        label = first_of(kinds, LABEL_NAMES)
    if text is None:
        text = first_of([c for c, kind in kinds.items() if kind == "Value"], TEXT_NAMES)
    return replace(config, label_column=label or None, text_column=text or None)


def has_images(rows: Any) -> bool:
    """Whether a column holds images."""
    return any(type(feature).__name__ == "Image" for feature in rows.features.values())


def check_map_style(rows: Any, name: str) -> None:
    """Refuse several splits, and rows that are streamed.

    Raises:
        DataError: They are not one map-style split.
    """
    if isinstance(rows, dict):
        splits = ", ".join(map(repr, rows))
        raise DataError(
            f"{name} has the splits {splits}. Give one: data[{next(iter(rows), '')!r}]."
        )
    if not comes_from(rows, "datasets", "Dataset"):
        raise DataError(f"{name} is streamed; only map-style datasets are supported.")


def columns_of_rows(rows: Any, name: str) -> Columns:
    """Return the columns of rows without images.

    Arguments:
        rows: A ``datasets.Dataset``.
        name: The name of the data in messages.

    Raises:
        DataError: There are no rows.
    """
    if len(rows) == 0:
        raise DataError(f"{name} is empty: it has no rows.")
    values, class_names = {}, {}
    table = rows.with_format("arrow")[:]
    for column, feature in rows.features.items():
        kind, only = type(feature).__name__, rows.select_columns([column])
        if kind in _PLAIN:  # As arrow has them: numpy's format would round 64-bit numbers.
            values[column] = as_column(table[column].to_pandas().to_numpy())
        else:
            values[column] = _stored(as_column(only.with_format("numpy")[:][column]), feature)
        if kind == "ClassLabel":
            class_names[column] = tuple(feature.names)
    return Columns({key: v for key, v in values.items() if v is not None}, class_names)


def _stored(values: Any, feature: Any) -> Any:
    """Return whole numbers of the type that the feature states; numpy's format widens them."""
    while hasattr(feature, "feature"):
        feature = feature.feature
    stated = str(getattr(feature, "dtype", ""))
    if values is not None and values.dtype.kind in "iu" and "int" in stated:
        return values.astype(stated, copy=False)
    return values
