"""Columns of tables of pyarrow, without a list of Python for each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from genzoo.data.columns.column import Columns, as_column
from genzoo.data.libraries import library
from genzoo.errors import DataError


def features_of(schema: Any) -> Mapping[str, Any]:
    """Return the features that the package `datasets` wrote into a file; empty without them."""
    if b"huggingface" not in (schema.metadata or {}):
        return {}
    datasets = library("datasets", "Shards with features")
    found: Mapping[str, Any] = datasets.Features.from_arrow_schema(schema)
    return found


def holds_images(schema: Any) -> bool:
    """Whether a column holds files of images."""
    types = library("pyarrow.types", "Parquet files")
    features = features_of(schema)
    return any(
        type(features.get(one.name)).__name__ == "Image"
        or (types.is_struct(one.type) and {child.name for child in one.type} == {"bytes", "path"})
        for one in schema
    )


def columns_of_table(table: Any, name: str) -> Columns:
    """Return the columns of a table.

    Lists of numbers of one length are rows of an array; other values are as pandas has them.

    Arguments:
        table: The table.
        name: The name of the table in messages.

    Raises:
        DataError: A list is missing.
    """
    features = features_of(table.schema)
    values, class_names = {}, {}
    for column in table.column_names:
        values[column] = _array(table[column], f"the column {column!r} of {name}")
        if type(features.get(column)).__name__ == "ClassLabel":
            class_names[column] = tuple(features[column].names)
    return Columns({key: v for key, v in values.items() if v is not None}, class_names)


def _array(column: Any, where: str) -> Any:
    arrow, types = library("pyarrow", "Parquet files"), library("pyarrow.types", "Parquet files")
    joined = column.combine_chunks()
    if isinstance(joined, arrow.ChunkedArray):
        joined = arrow.concat_arrays(joined.chunks)
    kind = getattr(joined.type, "storage_type", joined.type)
    if _is_list(types, kind):
        found = _dense(joined, where)
        return as_column(joined.to_pylist()) if found is None else found
    if types.is_primitive(kind) and not joined.null_count and not types.is_temporal(kind):
        return joined.to_numpy(zero_copy_only=False, writable=True)
    return as_column(joined.to_pandas().to_numpy())


def _is_list(types: Any, kind: Any) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _dense(values: Any, where: str) -> np.ndarray[Any, Any] | None:
    """Return nested lists as one array; None if they are not numbers or differ in length."""
    arrow, types = library("pyarrow", "Parquet files"), library("pyarrow.types", "Parquet files")
    if isinstance(values, arrow.ExtensionArray):
        values = values.storage
    if not _is_list(types, values.type):
        if not types.is_primitive(values.type) or values.null_count:
            return None
        plain: np.ndarray[Any, Any] = values.to_numpy(zero_copy_only=False, writable=True)
        return plain
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where} has no value in row {row}. Leave the row out, or fill it.")
    lengths = values.value_lengths().to_numpy(zero_copy_only=False)
    if not len(lengths) or lengths.min() != lengths.max():
        return None
    inner = _dense(values.flatten(), where)
    return None if inner is None else inner.reshape(len(values), int(lengths[0]), *inner.shape[1:])
