"""Tables in files: CSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from genzoo.config import Bounds
from genzoo.data.columns.column import ColumnNames, Columns
from genzoo.data.columns.from_columns import Kind
from genzoo.data.columns.splits import ColumnSplits
from genzoo.data.config import DataConfig
from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.libraries import library
from genzoo.data.tables.csv_file import read_csv
from genzoo.data.tables.files import PARQUET, find_tables
from genzoo.data.tables.frames import columns_of_frame
from genzoo.data.tables.parquet_file import read_parquet
from genzoo.data.unpacking import MAX_BYTES, MaxBytes, check_file, check_size
from genzoo.errors import DataError

ColumnName = Annotated[str | None, Bounds(0, 256)]
"""The type of a config field with the name of a column."""
Dropped = Annotated[tuple[Annotated[str, Bounds(1, 256)], ...], Bounds(0, 10_000)]
"""The type of a config field with the names of the columns to leave out."""
Scale = Annotated[float | None, Bounds(1e-30, 1e30)]
"""The type of a config field with the divisor of values."""


@dataclass(frozen=True, kw_only=True)
class TablesConfig(DataConfig):
    """A table in a file, or tables in a folder."""

    label_column: ColumnName = None
    """The column of labels; by default one named label, labels, target, class or y. The empty text
    stands for none."""
    text_column: ColumnName = None
    """The column of captions; by default one named text or caption."""
    drop: Dropped = ()
    """The columns to leave out."""
    scale: Scale = None
    """The divisor of all values of x, such as 255."""
    max_bytes: MaxBytes = MAX_BYTES
    """Files with more bytes, or whose values take more, are refused before they are read."""


class Tables(DataSource[TablesConfig]):
    """A CSV or Parquet file of numbers, with labels; or a folder with a file for each split.

    Every column of numbers is one value of x. The name of a file, or of its folder, names the
    split: train, valid or test.
    """

    Config = TablesConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the files have."""
        return tuple(self._files)

    def load(self, split: str) -> Dataset:
        """Return the rows of one split."""
        return self._splits.load(split)

    @cached_property
    def _found(self) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
        return find_tables(Path(self.location))

    @property
    def _files(self) -> dict[str, list[Path]]:
        return self._found[0]

    @cached_property
    def _splits(self) -> ColumnSplits:
        config, title = self.config, Path(self.location).resolve().name
        return ColumnSplits(
            {split: self._columns(files, title) for split, files in self._files.items()},
            ColumnNames(label=config.label_column, text=config.text_column, drop=config.drop),
            Kind(space=config.reading, scale=config.scale),
            title,
        )

    def _columns(self, files: Sequence[Path], title: str) -> Columns:
        frame, notes = _joined(files, self.config.max_bytes)
        found = columns_of_frame(frame, title)
        return replace(found, notes=(*self._found[1], *notes, *found.notes))


def _joined(files: Sequence[Path], most: int) -> tuple[Any, tuple[str, ...]]:
    """Return the rows of several files with the same columns as one DataFrame, and notes."""
    frames, notes = zip(*(_read(path, most) for path in files), strict=True)
    columns = list(frames[0].columns)
    for path, frame in zip(files, frames, strict=True):
        if list(frame.columns) != columns:
            raise DataError(
                f"{str(path)!r} has other columns than {files[0].name}: "
                f"{', '.join(map(str, frame.columns))}. Give the files one by one."
            )
    if len(frames) == 1:
        return frames[0], notes[0]
    said = f"the rows are those of {len(files)} files, {files[0].name} to {files[-1].name}."
    return library("pandas", "Tables").concat(frames, ignore_index=True), (said, *notes[0])


def _read(path: Path, most: int) -> tuple[Any, tuple[str, ...]]:
    """Return the table of a file as a DataFrame, and notes."""
    try:
        check_file(path)
        check_size(path.stat().st_size, most, path)
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from error
    if path.suffix.lower() in PARQUET:
        return read_parquet(path, most).to_pandas(), ()
    return read_csv(path)
