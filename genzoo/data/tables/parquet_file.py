"""Parquet files, through pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genzoo.data.libraries import library
from genzoo.data.unpacking import check_size
from genzoo.errors import DataError, MissingDependencyError

_VALUE = 8
"""The bytes of a value, at least for the largest numbers."""


def read_parquet(path: Path, most: int) -> Any:
    """Return the table of a Parquet file.

    A small file can hold many equal values, so the number of values that it states is checked
    before they are unpacked.

    Arguments:
        path: The file.
        most: The maximum number of bytes of its values.

    Raises:
        DataError: It is damaged or too large.
        MissingDependencyError: pyarrow is not installed.
    """
    arrow = library("pyarrow", "Parquet files")
    parquet = library("pyarrow.parquet", "Parquet files")
    try:
        with parquet.ParquetFile(path) as file:
            check_size(_size_of(file.metadata), most, path)
            return file.read()
    except (OSError, ValueError, TypeError, MemoryError, arrow.ArrowException) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise DataError(f"{str(path)!r} cannot be read as Parquet: {first}.") from error


def holds_features(path: Path) -> bool:
    """Whether the package `datasets` wrote a file, with the features of its columns."""
    try:
        schema = library("pyarrow.parquet", "Parquet files").read_schema(path)
    except (OSError, ValueError, MissingDependencyError):
        return False  # What is wrong is said when the file is read.
    return b"huggingface" in (schema.metadata or {})


def _size_of(metadata: Any) -> int:
    """Return the bytes of the values of all columns, those of lists included."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(j) for group in groups for j in range(group.num_columns)]
    return sum(max(c.num_values * _VALUE, c.total_uncompressed_size) for c in columns)
