"""Rows of the package `datasets` with images."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo.data.columns.classes import Classes, classes_of
from genzoo.data.columns.label_notes import on_labels
from genzoo.data.hub.columns import HubColumns, HubConfig, choose_columns
from genzoo.data.images.appearance import colour_of
from genzoo.data.images.decoding import decode
from genzoo.data.images.headers import Header, read_header
from genzoo.data.images.rows import PictureRows
from genzoo.data.images.survey import Survey
from genzoo.errors import DataError
from genzoo.progress import progress_bar
from genzoo.spaces import Text

_AT_ONCE = 256
"""The number of rows whose files are in memory while their headers are read."""


class HubRows(PictureRows):
    """The rows of a map-style ``datasets.Dataset`` with images.

    A row whose label is None has none, and one whose caption is None has the empty caption.

    Arguments:
        rows: The rows; an iterable (streamed) dataset is refused.
        config: The columns to use, and how images become rows.
        name: The dataset's name.
        like: The rows of another split, whose classes, size and mode these have.

    Raises:
        DataError: A column is missing, an image cannot be read, or images differ in size.
    """

    def __init__(
        self, rows: Any, config: HubConfig, name: str, *, like: HubRows | None = None
    ) -> None:
        if type(rows).__name__ != "Dataset" or not hasattr(rows, "features"):
            raise DataError(f"{name} is streamed; only map-style datasets are supported.")
        if len(rows) == 0:
            raise DataError(f"{name} is empty: it has no rows.")
        self.name = name
        self.columns = columns = choose_columns(rows.features, config, name)
        plain = rows.with_format(None)
        self._images, self._texts = _undecoded(plain, columns.image), _column(plain, columns.text)
        self.survey = Survey(config).add(self._headers(config))
        self.classes = _classes(plain, columns, name, like)
        num = like.num_classes if like else int(self.classes.index.max(initial=-1)) + 1
        self.num_classes: int = len(self.classes.names) or num
        labelled = columns.label is not None and self.num_classes > 0
        super().__init__(
            len(rows),
            config,
            like.survey.deciding_for(self.survey) if like else self.survey,
            label=torch.from_numpy(self.classes.index) if labelled else None,
            class_names=self.classes.names,
            num_classes=self.num_classes if labelled else None,
        )
        if columns.text:
            self.info = self.info.with_field("text", Text())
        self.notes = (
            *columns.notes,
            *_on_format(rows),
            *self.survey.notes(self.look.mode),
            *(on_labels(self.classes, columns.label) if columns.label else ()),
        )

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        found = super().batch(indices, generator)
        if self._texts is not None:
            index = torch.as_tensor(indices, dtype=torch.long).tolist()
            found["text"] = list(map(self._text, index, self._captions(index)))
        return found

    def without_rows(self) -> HubRows:
        """Return the description of these rows alone, as the ``like`` of others."""
        found = copy.copy(self)
        found._images = found._texts = None
        return found

    def decode(self, rows: list[int]) -> list[tuple[str, Tensor]]:
        """Return the name and the image of each of some rows."""
        files = self._files(rows)
        return [(name, decode(file, name, self.look)) for name, file in files]

    def _headers(self, config: HubConfig) -> Iterator[tuple[str, Header]]:
        background, num = colour_of(config.background), len(self._images)
        with progress_bar("Reading headers of images", "image", num) as shown:
            for first in range(0, num, _AT_ONCE):
                for name, file in self._files(list(range(first, min(first + _AT_ONCE, num)))):
                    yield name, read_header(file, name, background, config.max_pixels)
                    shown.update()

    def _files(self, rows: list[int]) -> Iterator[tuple[str, Path | io.BytesIO | Image.Image]]:
        """Yield the name and the image file of each of some rows."""
        for row, value in zip(rows, self._images[rows][self.columns.image], strict=True):
            name = f"row {row} of {self.name}"
            yield name, _file(value, f"{name}, column {self.columns.image!r},")

    def _captions(self, rows: list[int]) -> list[Any]:
        found: list[Any] = self._texts[rows][self.columns.text] if self._texts is not None else []
        return found

    def _text(self, row: int, value: Any) -> str:
        if value is not None and not isinstance(value, str):
            raise DataError(
                f"row {row} of {self.name}, column {self.columns.text!r}, is not a text. Name "
                "another column: --data.text-column."
            )
        return value or ""


def _undecoded(rows: Any, column: str) -> Any:
    """Return the rows with their images only, as files instead of pixels."""
    found = rows.select_columns([column])
    feature = rows.features[column]
    if type(feature).__name__ == "Image":
        return found.cast_column(column, type(feature)(decode=False))
    return found


def _column(rows: Any, column: str | None) -> Any:
    return None if column is None else rows.select_columns([column])


def _file(value: Any, title: str) -> Path | io.BytesIO | Image.Image:
    """Return an image that is stored as bytes or as the path of a file, or is decoded."""
    if isinstance(value, Image.Image):
        return value
    given = value if isinstance(value, Mapping) else {"bytes": value}
    content, path = given.get("bytes"), given.get("path")
    if isinstance(content, bytes) and content:
        return io.BytesIO(content)
    if isinstance(path, str) and path:
        return Path(path)
    raise DataError(f"{title} is not an image.")


def _classes(rows: Any, columns: HubColumns, name: str, like: HubRows | None) -> Classes:
    """Return the labels of the rows; those of texts are numbered as in another split."""
    if columns.label is None:
        return classes_of([], name)
    where = f"the column {columns.label!r} of {name}"
    values = rows.select_columns([columns.label])[:][columns.label]
    names = columns.class_names or (like.classes.names if like else ())
    found = classes_of(values, where, names=names)
    most = int(found.index.max(initial=-1))
    if like is not None and most >= like.num_classes:
        raise DataError(
            f"{where} has the class {most}; {like.name} has {like.num_classes} classes."
        )
    return found


def _on_format(rows: Any) -> tuple[str, ...]:
    """Return a note if rows have a transform, which is not used."""
    return ("Their transform is not used.",) if rows.format["type"] == "custom" else ()
