"""Map-style datasets of the Hugging Face Hub, through `datasets`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo import progress
from genzoo.data.dataset import DataConfig, Dataset, DataSource
from genzoo.data.images.appearance import colour_of
from genzoo.data.images.config import PicturesConfig
from genzoo.data.images.decoding import decode
from genzoo.data.images.headers import Header, read_header
from genzoo.data.images.rows import PictureRows
from genzoo.data.images.survey import Survey
from genzoo.errors import DataError, MissingDependencyError
from genzoo.spaces import Text

_AT_ONCE = 256
"""The number of rows whose files are in memory while their headers are read."""


@dataclass(frozen=True, kw_only=True)
class HubConfig(PicturesConfig):
    """A dataset of the Hub."""

    subset: str | None = None
    """The subset (configuration) of the repository."""
    revision: str | None = None
    """A branch, tag or commit."""
    image_column: str | None = None
    """The column of images; by default the only one."""
    label_column: str | None = None
    """The column of class labels; by default the only one."""
    text_column: str | None = None
    """The column of captions; none by default."""


class HubDataset(DataSource[HubConfig]):
    """A repository of images, possibly with labels or captions. Streaming is not supported."""

    Config = HubConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the names of the repository's splits."""
        datasets = _library()
        config = self.config
        found = _asked(
            self.location,
            lambda: datasets.get_dataset_split_names(
                self.location, config.subset, revision=config.revision
            ),
        )
        return tuple(sorted(found, key=lambda name: name != "train"))

    def load(self, split: str) -> Dataset:
        """Return one split, decoded batch by batch."""
        return load_from_hub(self.location, split, self.config)


def load_from_hub(repository: str, split: str, config: DataConfig) -> Dataset:
    """Return a split of a repository.

    Raises:
        DataError: It is not available, or has no images.
        MissingDependencyError: `datasets` is not installed.
    """
    datasets = _library()
    hub = config if isinstance(config, HubConfig) else HubConfig()
    rows = _asked(
        repository,
        lambda: datasets.load_dataset(
            repository, hub.subset, split=split, revision=hub.revision, streaming=False
        ),
    )
    return HubRows(rows, hub, f"{repository}/{split}")


class HubRows(PictureRows):
    """The rows of a map-style ``datasets.Dataset`` with images.

    Arguments:
        rows: The rows; an iterable (streamed) dataset is refused.
        config: The columns to use, and how images become rows.
        name: The dataset's name.

    Raises:
        DataError: A column is missing, an image cannot be read, or images differ in size.
    """

    def __init__(self, rows: Any, config: HubConfig, name: str) -> None:
        if not isinstance(rows, _library().Dataset):
            raise DataError(f"{name} is streamed; only map-style datasets are supported.")
        if len(rows) == 0:
            raise DataError(f"{name} is empty: it has no rows.")
        self.name = name
        self.image = config.image_column or _only(rows, "Image", name)
        self.label_column = config.label_column or _optional(rows, "ClassLabel")
        self.text = config.text_column
        for column in filter(None, (self.image, self.label_column, self.text)):
            if column not in rows.features:
                raise DataError(f"{name} has no column {column!r}: {', '.join(rows.features)}.")
        if type(rows.features[self.image]).__name__ == "Image":
            rows = rows.cast_column(self.image, _library().Image(decode=False))
        self.rows = rows
        survey = Survey(config).add(self._headers(config))
        names = self._class_names()
        label = self._labels() if self.label_column else None
        super().__init__(len(rows), config, survey, label=label, class_names=names)
        if self.text:
            self.info = self.info.with_field("text", Text())
        self.notes = survey.notes(survey.mode)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        found = super().batch(indices, generator)
        if self.text:
            texts = self.rows.select_columns([self.text])
            found["text"] = list(texts[torch.as_tensor(indices).tolist()][self.text])
        return found

    def decode(self, rows: list[int]) -> list[tuple[str, Tensor]]:
        """Return the name and the image of each of some rows."""
        found = []
        for row, value in zip(rows, self._images(rows), strict=True):
            name = self._title(row)
            found.append((name, decode(self._file(value, name), name, self.look)))
        return found

    def _headers(self, config: HubConfig) -> Iterator[tuple[str, Header]]:
        background = colour_of(config.background)
        with progress.bar("Reading headers of images", "image", len(self.rows)) as shown:
            for first in range(0, len(self.rows), _AT_ONCE):
                rows = range(first, min(first + _AT_ONCE, len(self.rows)))
                for row, value in zip(rows, self._images(rows), strict=True):
                    name = self._title(row)
                    file = self._file(value, name)
                    yield name, read_header(file, name, background, config.max_pixels)
                    shown.update()

    def _images(self, rows: Sequence[int]) -> list[Any]:
        found: list[Any] = self.rows.select_columns([self.image])[list(rows)][self.image]
        return found

    def _file(self, value: Any, name: str) -> Path | io.BytesIO | Image.Image:
        """Return a row's image, which is stored as bytes or as the path of a file."""
        if isinstance(value, Image.Image):
            return value
        if not isinstance(value, Mapping) or not (value.get("bytes") or value.get("path")):
            raise DataError(f"{name}, column {self.image!r}, is not an image.")
        return io.BytesIO(value["bytes"]) if value.get("bytes") else Path(value["path"])

    def _title(self, row: int) -> str:
        return f"row {row} of {self.name}"

    def _labels(self) -> Tensor:
        column = self.label_column
        found: Tensor = self.rows.select_columns([column]).with_format("torch")[:][column]
        return found.long()

    def _class_names(self) -> tuple[str, ...]:
        if self.label_column is None:
            return ()
        feature = self.rows.features[self.label_column]
        if type(feature).__name__ != "ClassLabel":
            raise DataError(f"{self.name}: the column {self.label_column!r} has no class labels.")
        return tuple(feature.names)


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Datasets of the Hub need the package datasets. Try: pip install 'genzoo[data]'"
        ) from error
    return datasets


def _asked(repository: str, ask: Any) -> Any:
    """Call the library; any of its errors means that the data are not available."""
    own = _library().exceptions.DatasetsError
    try:
        return ask()
    except (OSError, ValueError, RuntimeError, KeyError, own) as error:
        first = str(error).strip().partition("\n")[0]
        raise DataError(f"The dataset {repository!r} is not available: {first}") from error


def _only(rows: Any, kind: str, name: str) -> str:
    found = _columns(rows, kind)
    if len(found) != 1:
        raise DataError(
            f"{name} has {len(found)} columns of images; give --data.image-column. Columns: "
            f"{', '.join(rows.features)}."
        )
    return str(found[0])


def _optional(rows: Any, kind: str) -> str | None:
    found = _columns(rows, kind)
    return found[0] if len(found) == 1 else None


def _columns(rows: Any, kind: str) -> list[str]:
    return [str(column) for column, f in rows.features.items() if type(f).__name__ == kind]
