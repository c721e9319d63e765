"""IDX, the file format of small grey images and their labels."""

from __future__ import annotations

import abc
import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from genzoo.data.config import DataConfig
from genzoo.data.dataset import ArrayDataset, Dataset, DataSource
from genzoo.data.fields import image_fields
from genzoo.data.unpacking import MAX_BYTES, MaxBytes, check_file, check_size
from genzoo.errors import DataError
from genzoo.spec import DataInfo

_PIECE = 2**20
_STEMS = {"train": "train", "test": "t10k"}


@dataclass(frozen=True, kw_only=True)
class IDXFolderConfig(DataConfig):
    """IDX files in a folder."""

    max_bytes: MaxBytes = MAX_BYTES
    """A file with more bytes is refused before it is unpacked."""


@dataclass(frozen=True, kw_only=True)
class IDXConfig(IDXFolderConfig):
    """IDX files in a folder, or elsewhere."""

    folder: str | None = None
    """The folder of the files; by default system folders, else the Hub."""


class IDXFolder(DataSource[IDXFolderConfig]):
    """A folder with train-images-idx3-ubyte, t10k-images-idx3-ubyte and their labels, or .gz."""

    Config = IDXFolderConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_STEMS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey."""
        home = Path(self.location)
        return read_folder(home, split, home.name, most=self.config.max_bytes)


class IDXSource(DataSource[IDXConfig], abc.ABC):
    """Abstract base class of fixed datasets of images in IDX files.

    The files are read from the folder of the config, else from a folder of a system package; else
    the images come from the source's Hub repository.

    Class attributes:
        title: The name of the data in the provenance of figures.
        class_names: The names of the labels.
        folders: The folders of system packages.
        remedy: How to get the files, for the error if they are not found.
    """

    Config = IDXConfig
    title: ClassVar[str]
    class_names: ClassVar[tuple[str, ...]] = ()
    folders: ClassVar[tuple[str, ...]] = ()
    remedy: ClassVar[str] = "Give --data.folder FOLDER."

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_STEMS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey.

        Raises:
            DataError: The files are not found, or one is damaged.
        """
        folder = self.config.folder or self._installed(split)
        if folder is not None:
            most = self.config.max_bytes
            return read_folder(Path(folder), split, self.title, self.class_names, most)
        from genzoo.data.hub.source import load_from_hub

        try:
            return load_from_hub(self.repository, split, self.config)
        except DataError as error:
            raise DataError(
                f"{self.title} is not on this machine: no IDX files in "
                f"{', '.join(self.folders)}, and the Hub gave: {error} {self.remedy}"
            ) from error

    def _installed(self, split: str) -> str | None:
        stem = f"{_STEMS[split]}-images-idx3-ubyte"
        return next((f for f in self.folders if _find(Path(f), stem) is not None), None)


def read_folder(
    folder: Path,
    split: str,
    name: str,
    class_names: tuple[str, ...] = (),
    most: int = MAX_BYTES,
) -> ArrayDataset:
    """Read images and labels of a split; images become (1, H, W) in [0, 1].

    Arguments:
        folder: Their folder.
        split: The split.
        name: The dataset's name.
        class_names: The names of the labels, if they are known.
        most: The maximum size of an unpacked file in bytes.

    Raises:
        DataError: A file is missing, truncated, too large, or not an IDX file.
    """
    images = _read(folder, f"{_STEMS[split]}-images-idx3-ubyte", 3, most)
    labels = _read(folder, f"{_STEMS[split]}-labels-idx1-ubyte", 1, most)
    if len(images) != len(labels):
        raise DataError(f"{folder} has {len(images)} images and {len(labels)} labels.")
    num_classes = max(len(class_names), int(labels.max()) + 1)
    fields = image_fields((1, *images.shape[1:]), names=class_names, num_classes=num_classes)
    info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})
    x = torch.from_numpy(images)[:, None]
    return ArrayDataset(x, info, f"{name}/{split}", torch.from_numpy(labels).long(), 255.0)


def _find(folder: Path, stem: str) -> Path | None:
    paths = [folder / stem, folder / f"{stem}.gz"]
    return next((path for path in paths if path.exists()), None)


def _read(folder: Path, stem: str, dimensions: int, most: int) -> np.ndarray[Any, Any]:
    path = _find(folder, stem)
    if path is None:
        raise DataError(f"{str(folder)!r} has no {stem} (nor {stem}.gz).")
    try:
        check_file(path)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            binary = cast(io.BufferedIOBase, file)
            shape = _shape(binary, dimensions)
            check_size(math.prod(shape), most, path)
            return _body(binary, shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{path} is damaged or not an IDX file: {error}. Get it again.") from error


def _shape(file: io.BufferedIOBase, dimensions: int) -> tuple[int, ...]:
    """Read the header: the shape of the following bytes."""
    magic = file.read(4)
    if magic != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"its first bytes are {magic.hex()}, not those of unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    if 0 in shape:
        raise ValueError(f"its header states {shape} bytes")
    return shape


def _body(file: io.BufferedIOBase, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Read the bytes that the header states, in pieces, without memory for further bytes."""
    body = np.empty(math.prod(shape), np.uint8)
    view, end = body.data, 0
    while count := file.readinto(view[end : end + _PIECE]):
        end += count
    found = end + len(file.read(1))
    if found != len(body):
        raise ValueError(f"{found} bytes or more, but its header states {shape}")
    return body.reshape(shape)
