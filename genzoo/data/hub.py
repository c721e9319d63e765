"""Map-style datasets of the Hugging Face Hub, through `datasets`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo.data.dataset import DataConfig, Dataset, DataSource
from genzoo.data.fields import image_fields
from genzoo.data.images import MAX_PIXELS, MaxPixels, as_mode, mode_of, open_image, to_tensor
from genzoo.errors import DataError, MissingDependencyError
from genzoo.spaces import Text
from genzoo.spec import DataInfo


@dataclass(frozen=True, kw_only=True)
class HubConfig(DataConfig):
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
    max_pixels: MaxPixels = MAX_PIXELS
    """Images with more pixels are refused before they are decoded."""


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


class HubRows(Dataset):
    """The rows of a map-style ``datasets.Dataset``.

    Arguments:
        rows: The rows; an iterable (streamed) dataset is refused.
        config: The columns to use.
        name: The dataset's name.
    """

    def __init__(self, rows: Any, config: HubConfig, name: str) -> None:
        if not isinstance(rows, _library().Dataset):
            raise DataError(f"{name} is streamed; only map-style datasets are supported.")
        if len(rows) == 0:
            raise DataError(f"{name} is empty: it has no rows.")
        self.name, self.rows, self.most = name, rows, config.max_pixels
        self.image = config.image_column or _only(rows, "Image", name)
        self.label = config.label_column or _optional(rows, "ClassLabel")
        self.text = config.text_column
        for column in filter(None, (self.image, self.label, self.text)):
            if column not in rows.features:
                raise DataError(f"{name} has no column {column!r}: {', '.join(rows.features)}.")
        if type(rows.features[self.image]).__name__ == "Image":
            self.rows = rows.cast_column(self.image, _library().Image(decode=False))
        first = self._open(self.rows[0][self.image], 0)
        self.mode = mode_of(first)
        names = self._class_names()
        fields = image_fields(to_tensor(as_mode(first, self.mode)).shape, names=names)
        if self.text:
            fields["text"] = Text()
        self.info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index = torch.as_tensor(indices).tolist()
        rows = self.rows[index]
        opened = [self._open(v, i) for i, v in zip(index, rows[self.image], strict=True)]
        images = [to_tensor(as_mode(image, self.mode)) for image in opened]
        for i, image in zip(index, images, strict=True):
            if tuple(image.shape) != self.info["x"].event_shape:
                raise DataError(
                    f"Row {i} of {self.name} has shape {tuple(image.shape)}, the first "
                    f"{self.info['x'].event_shape}: they must be equal. Save the images to a "
                    "folder, and give --data.size N."
                )
        found: dict[str, Any] = {"x": torch.stack(images)}
        if self.label:
            found["label"] = torch.tensor(rows[self.label], dtype=torch.long)
        return {**found, "text": list(rows[self.text])} if self.text else found

    def labels(self) -> Tensor | None:
        """Return the label of every row, from its column."""
        if self.label is None:
            return None
        column: Tensor = self.rows.select_columns([self.label]).with_format("torch")[:][self.label]
        return column.long()

    def _open(self, value: Any, row: int) -> Image.Image:
        """Open a row's image, which is stored as bytes or as the path of a file."""
        name = f"row {row} of {self.name}"
        if not isinstance(value, Mapping) or not (value.get("bytes") or value.get("path")):
            raise DataError(f"{name}, column {self.image!r}, is not an image.")
        source = io.BytesIO(value["bytes"]) if value.get("bytes") else Path(value["path"])
        return open_image(source, name, most=self.most)

    def _class_names(self) -> tuple[str, ...]:
        if self.label is None:
            return ()
        feature = self.rows.features[self.label]
        if type(feature).__name__ != "ClassLabel":
            raise DataError(f"{self.name}: the column {self.label!r} has no class labels.")
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
