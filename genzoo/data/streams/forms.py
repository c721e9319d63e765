"""How chunks of shards become rows: as the first rows did, through the readers of whole data."""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from genzoo.data.columns.column import ColumnNames, Columns
from genzoo.data.columns.from_columns import Kind, from_columns, labels_in
from genzoo.data.columns.roles import roles_like, roles_of
from genzoo.data.dataset import Dataset
from genzoo.data.fields import label_space
from genzoo.data.hub.image_rows import HubRows
from genzoo.data.hub.rows import image_columns
from genzoo.data.labelling import UNKNOWN
from genzoo.data.libraries import library
from genzoo.data.streams.arrow import columns_of_table, features_of, holds_images
from genzoo.data.streams.config import StreamConfig
from genzoo.errors import DataError
from genzoo.spaces import Space
from genzoo.spec import DataInfo

_ROW = re.compile(r"\brow (\d+)\b")


class Form(abc.ABC):
    """Abstract base class: what the first rows of shards decide about all.

    Attributes:
        info: The description of the rows.
        notes: What was inferred in an unusual way or left out.
        decodes: Whether rows are decoded when they are read, as images are.
    """

    info: DataInfo
    notes: tuple[str, ...] = ()
    decodes: bool = False

    @abc.abstractmethod
    def rows(self, chunk: Any, name: str) -> Dataset:
        """Return the rows of a chunk.

        Arguments:
            chunk: A table of pyarrow, or `Columns`.
            name: The name of its shard, for errors.

        Raises:
            DataError: They are not in the spaces of the first rows, or a column is missing.
        """

    @abc.abstractmethod
    def of_split(self, chunk: Any, name: str) -> Form:
        """Return the form of another split, which has the same spaces.

        Arguments:
            chunk: Its first chunk.
            name: The name of its shard.
        """


@dataclass(frozen=True)
class Stated:
    """What shards state about all their rows.

    Arguments:
        fields: The spaces that their writer has stated; empty if it has not.
        greatest: The greatest value of columns of whole numbers, where all shards state it.
    """

    fields: Mapping[str, Space]
    greatest: Mapping[str, int]

    def label(self, column: str, found: Space) -> Space:
        """Return the space of the label, with all classes that are stated.

        Arguments:
            column: Its column.
            found: Its space by the first rows.
        """
        if "label" in self.fields:
            return self.fields["label"]
        if found.value_names():
            return found
        return label_space(max(found.count or 0, self.greatest.get(column, 0) + 1))


def form_of(chunks: Sequence[Any], stated: Stated, config: StreamConfig, name: str) -> Form:
    """Return the form that the first rows decide.

    Arguments:
        chunks: The first chunks.
        stated: What the shards state about all rows.
        config: The names of columns, and what is known of the values.
        name: The name of the data.

    Raises:
        DataError: The rows cannot be read as one kind of data.
    """
    whole = _joined(chunks)
    if not isinstance(whole, Columns) and (
        config.image_column is not None or holds_images(whole.schema)
    ):
        return Pictures(whole, stated, config, name)
    return Numbers(whole, stated, config, name)


class Numbers(Form):
    """Rows of columns of numbers, labels and texts."""

    def __init__(self, whole: Any, stated: Stated, config: StreamConfig, name: str) -> None:
        columns = _columns(whole, name).without(config.drop)
        chosen = ColumnNames(label=config.label_column, text=config.text_column)
        self.config = config
        self.roles = roles_of(columns, chosen, name)
        self._classes = set(columns.class_names)
        self._texts = {c for c, v in columns.values.items() if v.dtype.kind in "OUS"}
        label, column = stated.fields.get("label"), str(self.roles.label)
        # Numbers are class indices, also where the names of classes are other numbers.
        named = label is not None and column in self._texts
        names = {column: label.value_names()} if label is not None and named else {}
        kind = Kind(
            space=config.reading,
            scale=config.scale,
            like=None if config.space or config.scale else stated.fields.get("x"),
            class_names=names,
        )
        first = from_columns(columns, self.roles, kind, name)
        self.info, self.notes = first.info, first.notes
        if "label" in self.info:
            self.info = self.info.with_field("label", stated.label(column, self.info["label"]))
        for field, space in stated.fields.items():
            if field in self.info and isinstance(space, type(self.info[field])) and field != "x":
                self.info = self.info.with_field(field, space)
        shared = {c: self._names(c) for c in (self.roles.label, *self.roles.fields) if c}
        # Numbers that are read in a named space, such as categories, are converted as the first.
        self.kind = replace(kind, like=self.info["x"], class_names=shared)

    def _names(self, column: str) -> tuple[str, ...]:
        """Return the names of classes whose rows are texts, or have numbers with names."""
        field = "label" if column == self.roles.label else column
        if field not in self.info or column not in (self._texts | self._classes):
            return ()
        return self.info[field].value_names()

    def rows(self, chunk: Any, name: str) -> Dataset:
        """Return the rows of a chunk."""
        columns = _columns(chunk, name).without(self.config.drop)
        used = (*self.roles.x, *self.roles.fields, self.roles.label, self.roles.text)
        _demand(columns.values, [column for column in used if column], name)
        found = from_columns(columns, replace(self.roles, fields=()), self.kind, name)
        if "label" not in self.info:
            found.label = None
        elif found.label is None:  # No row of this chunk has one.
            found.label = torch.full((len(found),), UNKNOWN)
        else:
            _check_classes(found.label, self.info["label"], f"the label of {name}")
        for column in self.roles.fields:
            found.columns[column] = self._field(columns, column, name)
        return found

    def _field(self, columns: Columns, column: str, name: str) -> torch.Tensor:
        space = self.info[column]
        if space.dtype.is_floating_point:
            values = columns.values[column].reshape(-1)
            if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
                raise DataError(f"The column {column!r} of {name} must hold finite numbers.")
            return torch.from_numpy(values.astype(np.float32))[:, None]
        found = torch.from_numpy(labels_in(columns, column, name, self.kind.class_names).index)
        _check_classes(found, space, f"the column {column!r} of {name}")
        return found

    def of_split(self, chunk: Any, name: str) -> Form:
        """Return the form of another split, which may lack the label and further fields."""
        found = object.__new__(Numbers)
        found.__dict__.update(self.__dict__)
        columns = _columns(chunk, name).without(self.config.drop)
        found.roles = roles_like(columns, self.roles, name)
        kept = {"x", *found.roles.fields}
        kept |= {"label"} if found.roles.label else set()
        kept |= {"text"} if found.roles.text else set()
        found.info = self.info.only(tuple(key for key in self.info.fields if key in kept))
        found.notes = found.roles.notes
        return found


class Pictures(Form):
    """Rows of images in files, with labels and captions."""

    decodes = True

    def __init__(self, whole: Any, stated: Stated, config: StreamConfig, name: str) -> None:
        label = stated.fields.get("label")
        self.names = () if label is None else label.value_names()
        rows = self._dataset(whole, config.drop)
        chosen = ColumnNames(label=config.label_column, text=config.text_column)
        # Decoded images are not kept; that budget is for shards.
        self.config = replace(image_columns(rows, chosen, config), cache_bytes=0)
        first = HubRows(rows, self.config, name)
        self.info, self.notes = first.info, first.notes
        if "label" in self.info:
            space = stated.label(str(first.columns.label), self.info["label"])
            first.num_classes = space.count or first.num_classes
            self.info = self.info.with_field("label", space)
        self.first = first.without_rows()

    def rows(self, chunk: Any, name: str) -> Dataset:
        """Return the rows of a chunk."""
        used = self.first.columns
        names = [c for c in (used.image, used.label, used.text) if c]
        _demand(chunk.column_names, names, name)
        return HubRows(self._dataset(chunk.select(names), ()), self.config, name, like=self.first)

    def of_split(self, chunk: Any, name: str) -> Form:
        """Return the same form: images of all splits have the same columns."""
        return self

    def _dataset(self, table: Any, drop: Sequence[str]) -> Any:
        """Return a table as rows of the package `datasets`."""
        datasets = library("datasets", "Images in shards")
        kept = table.drop_columns([column for column in drop if column in table.column_names])
        if self.names and "label" in kept.column_names and not features_of(kept.schema):
            features = datasets.Features.from_arrow_schema(kept.schema)
            features["label"] = datasets.ClassLabel(names=list(self.names))
            kept = kept.replace_schema_metadata(features.arrow_schema.metadata)
        # A name of the table, in place of a hash of all its bytes.
        return datasets.Dataset(datasets.table.InMemoryTable(kept), fingerprint="streamed")


@dataclass(frozen=True)
class Placed:
    """Where a chunk is, for errors that name its rows.

    Arguments:
        name: The name of the shard.
        first: The number of its first row in the shard.
    """

    name: str
    first: int

    def error(self, error: DataError) -> DataError:
        """Return an error about a chunk with the number of the row in its shard."""
        text = _ROW.sub(lambda found: f"row {int(found[1]) + self.first}", str(error), count=1)
        return DataError(text.replace("the first split", "the first shards"))


def _columns(chunk: Any, name: str) -> Columns:
    return chunk if isinstance(chunk, Columns) else columns_of_table(chunk, name)


def _joined(chunks: Sequence[Any]) -> Any:
    """Return several chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    if not isinstance(chunks[0], Columns):
        return library("pyarrow", "Parquet files").concat_tables(chunks)
    names = list(chunks[0].values)
    return Columns({name: np.concatenate([c.values[name] for c in chunks]) for name in names})


def _demand(columns: Any, names: Sequence[str], shard: str) -> None:
    lacking = [name for name in names if name not in columns]
    if lacking:
        raise DataError(
            f"The shard {shard!r} has no column {lacking[0]!r}, which the first shards have. "
            "Write it with the same columns; a run can then be resumed."
        )


def _check_classes(label: torch.Tensor, space: Space, where: str) -> None:
    most, num = int(label.max()), space.count or 0
    if most >= num:
        row = int((label == most).nonzero()[0])
        raise DataError(
            f"{where} has the class {most} in row {row}; the first shards have {num} classes. "
            "Read more of them: --data.first-shards N."
        )
