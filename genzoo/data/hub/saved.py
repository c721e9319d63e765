"""What the package `datasets` wrote: folders of save_to_disk, and Parquet files with features."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from genzoo.data.columns.column import ColumnNames
from genzoo.data.columns.from_columns import Kind
from genzoo.data.columns.splits import ColumnSplits
from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.hub.rows import columns_of_rows, has_images, image_columns
from genzoo.data.hub.source import HubConfig, HubRows
from genzoo.data.images.config import PicturesConfig
from genzoo.data.libraries import library
from genzoo.data.tables.files import find_tables
from genzoo.data.tables.parquet_file import read_parquet
from genzoo.data.tables.source import ColumnName, Dropped, Scale
from genzoo.data.unpacking import MAX_BYTES, MaxBytes
from genzoo.errors import DataError

_OF_SPLITS, _OF_ROWS = "dataset_dict.json", {"dataset_info.json", "state.json"}
"""The files of a folder with several splits, and those of one with rows."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, LookupError, MemoryError)


def is_saved(names: Collection[str]) -> bool:
    """Whether files with these names are those of save_to_disk."""
    return _OF_SPLITS in names or set(names) >= _OF_ROWS


@dataclass(frozen=True, kw_only=True)
class SavedConfig(PicturesConfig):
    """Rows that the package `datasets` wrote: images, or columns of numbers."""

    image_column: ColumnName = None
    """The column of images; by default the only one."""
    label_column: ColumnName = None
    """The column of labels; by default the only one of classes, or one named label, labels,
    target, class or y. The empty text stands for none."""
    text_column: ColumnName = None
    """The column of captions; by default one named text or caption, if there are no images."""
    drop: Dropped = ()
    """The columns to leave out."""
    scale: Scale = None
    """The divisor of all numbers, such as 255; images need none."""
    max_bytes: MaxBytes = MAX_BYTES
    """Parquet files whose values take more bytes are refused before they are read."""


class Saved(DataSource[SavedConfig]):
    """Rows that the package `datasets` wrote: a folder of save_to_disk, or Parquet files."""

    Config = SavedConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(self._rows)

    def load(self, split: str) -> Dataset:
        """Return the rows of one split."""
        if not has_images(self._rows[split]):
            return self._columns.load(split)
        first = next(iter(self._rows))
        return self._images(split, None if split == first else self._images(first))

    def _images(self, split: str, like: HubRows | None = None) -> HubRows:
        """Return a split with images; the first one decides the space of all."""
        rows, config = self._rows[split], self.config
        shared = {field.name: getattr(config, field.name) for field in fields(PicturesConfig)}
        hub = HubConfig(**shared, image_column=config.image_column)
        columns = image_columns(rows, self._chosen, hub)
        return HubRows(rows, columns, f"{self._title}/{split}", like=like)

    @property
    def _chosen(self) -> ColumnNames:
        return ColumnNames(label=self.config.label_column, text=self.config.text_column)

    @property
    def _title(self) -> str:
        return Path(self.location).resolve().name

    @cached_property
    def _rows(self) -> dict[str, Any]:
        path, drop = Path(self.location), self.config.drop
        saved = path.is_dir() and is_saved(os.listdir(path))
        splits = _of_folder(path) if saved else _of_parquet(path, self.config.max_bytes)
        kept = {
            split: rows.remove_columns([c for c in drop if c in rows.column_names])
            for split, rows in splits.items()
        }
        return {split: kept[split] for split in sorted(kept, key=lambda split: split != "train")}

    @cached_property
    def _columns(self) -> ColumnSplits:
        config = self.config
        return ColumnSplits(
            {split: columns_of_rows(rows, self._title) for split, rows in self._rows.items()},
            self._chosen,
            Kind(space=config.reading, scale=config.scale),
            self._title,
        )


def _of_folder(path: Path) -> dict[str, Any]:
    """Return the rows of each split of a folder of save_to_disk."""
    datasets = library("datasets", "Folders of save_to_disk")
    try:
        found = datasets.load_from_disk(str(path))
    except _UNREADABLE as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise DataError(
            f"{str(path)!r} cannot be read: {first}. Write it again with save_to_disk."
        ) from error
    return dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}


def _of_parquet(path: Path, most: int) -> dict[str, Any]:
    """Return the rows of each split of Parquet files."""
    datasets = library("datasets", "Parquet files with features")
    arrow = library("pyarrow", "Parquet files")
    files, _ = find_tables(path)
    tables = {
        split: arrow.concat_tables([read_parquet(file, most) for file in several])
        for split, several in files.items()
    }
    return {
        split: datasets.Dataset(datasets.table.InMemoryTable(table))
        for split, table in tables.items()
    }
