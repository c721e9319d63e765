"""The formats of shards: what is read at once from a file, and how."""

from __future__ import annotations

import abc
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from genzoo.data.columns.column import Columns
from genzoo.data.libraries import library
from genzoo.data.streams.tar import TarIndex, read_samples, scan
from genzoo.errors import DataError

_AT_ONCE = 2**22
"""The bytes that are read at once from files without row groups."""


@dataclass(frozen=True)
class Index:
    """What is read at once from a shard.

    Arguments:
        rows: The number of rows of each chunk.
        num_bytes: The bytes of each chunk in memory.
        samples: Where the samples of a tar file are.
        greatest: The greatest value of columns of whole numbers, where the file states it.
    """

    rows: tuple[int, ...]
    num_bytes: tuple[int, ...]
    samples: TarIndex = field(default_factory=list)
    greatest: Mapping[str, int] = field(default_factory=dict)


class ShardFormat(abc.ABC):
    """Abstract base class of the formats of shards."""

    title: str
    """The format in messages."""
    endings: tuple[str, ...]
    """The endings of its files."""
    needs_all: bool = True
    """Whether counting the rows of a file needs all of it."""

    @abc.abstractmethod
    def index(self, file: Any) -> Index:
        """Return what is read at once.

        Arguments:
            file: The path, or an open file if the format does not need all of it.
        """

    @abc.abstractmethod
    def read(self, path: Path, chunk: int, index: Index) -> Any:
        """Return a chunk: a table of pyarrow, or `Columns`."""

    def unreadable(self) -> tuple[type[Exception], ...]:
        """Return what its reader raises for a damaged file."""
        return (OSError, ValueError, KeyError, TypeError, IndexError, MemoryError, EOFError)


class Parquet(ShardFormat):
    """Parquet files, by their row groups."""

    title, endings, needs_all = "Parquet", (".parquet",), False

    def index(self, file: Any) -> Index:
        """Return the row groups, from the end of the file."""
        parquet = library("pyarrow.parquet", "Parquet files")
        with parquet.ParquetFile(file) as opened:
            widths = list(_widths(opened.schema_arrow))
            groups = [opened.metadata.row_group(i) for i in range(opened.num_row_groups)]
            if not opened.metadata.num_rows:
                return Index((), ())
            if not all(group.num_rows for group in groups):
                raise ValueError("one of its row groups is empty")
            return Index(
                tuple(group.num_rows for group in groups),
                tuple(_size_of(group, widths) for group in groups),
                greatest=_greatest(groups),
            )

    def read(self, path: Path, chunk: int, index: Index) -> Any:
        """Return a row group."""
        parquet = library("pyarrow.parquet", "Parquet files")
        with parquet.ParquetFile(path) as opened:
            # One thread: the columns of a group are few, and worker processes share processors.
            return opened.read_row_group(chunk, use_threads=False)

    def unreadable(self) -> tuple[type[Exception], ...]:
        """Return what pyarrow raises for a damaged file."""
        return (*super().unreadable(), library("pyarrow", "Parquet files").ArrowException)


class Tensors(ShardFormat):
    """Files of safetensors: every tensor has one row for each example."""

    title, endings = "safetensors", (".safetensors",)

    def index(self, file: Any) -> Index:
        """Return blocks of rows of about 4 MiB."""
        with safe_open(file, framework="np") as opened:
            names = opened.keys()
            shapes = {name: opened.get_slice(name).get_shape() for name in names}
        counts = {name: shape[0] if shape else 0 for name, shape in shapes.items()}
        if len(set(counts.values())) != 1:
            few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
            raise ValueError(
                f"{few!r} has {counts[few]} rows, and {many!r} has {counts[many]}"
                if counts
                else "it holds no tensor"
            )
        return _blocks(next(iter(counts.values())), Path(file).stat().st_size)

    def read(self, path: Path, chunk: int, index: Index) -> Any:
        """Return some rows of every tensor."""
        first = sum(index.rows[:chunk])
        with safe_open(path, framework="np") as opened:
            names = opened.keys()
            rows = slice(first, first + index.rows[chunk])
            values = {name: opened.get_slice(name)[rows] for name in names}
        return Columns({name: np.asarray(value) for name, value in values.items()})

    def unreadable(self) -> tuple[type[Exception], ...]:
        """Return what safetensors raises for a damaged file."""
        return (*super().unreadable(), SafetensorError)


class Tar(ShardFormat):
    """Tar files of WebDataset: the files of a sample lie next to each other."""

    title, endings = "a tar file of WebDataset", (".tar",)

    def index(self, file: Any) -> Index:
        """Return blocks of samples of about 4 MiB, after one pass over the headers."""
        samples = scan(Path(file))
        blocks = _blocks(len(samples), Path(file).stat().st_size)
        return Index(blocks.rows, blocks.num_bytes, samples)

    def read(self, path: Path, chunk: int, index: Index) -> Any:
        """Return some samples."""
        first = sum(index.rows[:chunk])
        return read_samples(path, index.samples[first : first + index.rows[chunk]])

    def unreadable(self) -> tuple[type[Exception], ...]:
        """Return what the reader of tar files raises for a damaged one."""
        return (*super().unreadable(), tarfile.TarError)


FORMATS: Sequence[ShardFormat] = (Parquet(), Tar(), Tensors())
ENDINGS = tuple(ending for one in FORMATS for ending in one.endings)
"""The endings of the names of shards."""


def format_of(name: str) -> ShardFormat:
    """Return the format of a shard by its name.

    Raises:
        DataError: It is not the name of a shard.
    """
    for one in FORMATS:
        if name.lower().endswith(one.endings):
            return one
    packed = " Unpack it: no row of a compressed tar file can be read without all before it."
    raise DataError(
        f"{name!r} is not a shard: use {', '.join(ENDINGS)}."
        f"{packed if name.lower().endswith(('.tar.gz', '.tgz')) else ''}"
    )


def attempt(shard: str, one: ShardFormat, call: Callable[[], Any]) -> Any:
    """Return what ``call`` reads from a shard.

    Raises:
        DataError: The file is missing or damaged.
    """
    try:
        return call()
    except FileNotFoundError as error:
        raise DataError(
            f"The shard {shard!r} is missing. Put it back; a run can then be resumed."
        ) from error
    except one.unreadable() as error:
        first = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise DataError(
            f"The shard {shard!r} cannot be read as {one.title}: {first}. Write or download it "
            "again; a run can then be resumed."
        ) from error


def _blocks(rows: int, size: int) -> Index:
    """Return blocks of rows of equal size."""
    if not rows:
        return Index((), ())
    at_once = max(1, rows * _AT_ONCE // max(size, 1))
    counts = [min(at_once, rows - first) for first in range(0, rows, at_once)]
    return Index(tuple(counts), tuple(-(-size * count // rows) for count in counts))


def _widths(schema: Any) -> Any:
    """Yield the bytes of a value of each column of a file, in order; 0 if they vary."""
    types = library("pyarrow.types", "Parquet files")

    def leaves(kind: Any) -> Any:
        if hasattr(kind, "storage_type"):
            yield from leaves(kind.storage_type)
        elif types.is_nested(kind):
            for place in range(kind.num_fields):
                yield from leaves(kind.field(place).type)
        else:
            try:
                yield kind.bit_width / 8
            except ValueError:
                yield 0

    for one in schema:
        yield from leaves(one.type)


def _size_of(group: Any, widths: Sequence[float]) -> int:
    """Return the bytes of a row group in memory."""
    columns = [group.column(place) for place in range(group.num_columns)]
    known = widths if len(widths) == len(columns) else [8.0] * len(columns)
    return sum(
        int(column.num_values * width) or column.total_uncompressed_size
        for column, width in zip(columns, known, strict=True)
    )


def _greatest(groups: Sequence[Any]) -> dict[str, int]:
    """Return the greatest values that the end of a Parquet file states for whole numbers."""
    found: dict[str, list[int]] = {}
    for group in groups:
        for place in range(group.num_columns):
            column = group.column(place)
            stated = column.statistics
            if stated is not None and stated.has_min_max and isinstance(stated.max, int):
                found.setdefault(column.path_in_schema, []).append(stated.max)
    return {name: max(values) for name, values in found.items() if len(values) == len(groups)}


def as_mapping(index: Index) -> Mapping[str, Any]:
    """Return an index as plain values."""
    return {
        "rows": index.rows,
        "num_bytes": index.num_bytes,
        "samples": index.samples,
        "greatest": index.greatest,
    }


def from_mapping(values: Mapping[str, Any]) -> Index:
    """Return the index of values that `as_mapping` gave.

    Raises:
        KeyError, TypeError, ValueError: They are not such values.
    """
    rows, sizes = (tuple(map(int, values[key])) for key in ("rows", "num_bytes"))
    samples = [
        {str(ending): (int(at[0]), int(at[1])) for ending, at in sample.items()}
        for sample in values["samples"]
    ]
    greatest = {str(name): int(value) for name, value in values["greatest"].items()}
    return Index(rows, sizes, samples, greatest)
