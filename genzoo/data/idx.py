"""MNIST's own file format, and the two sets that come in it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch

from genzoo.data.dataset import ArrayDataset, DataConfig, Dataset, DataSource
from genzoo.data.grammars import DIGIT_CAPTIONS, FASHION_CAPTIONS
from genzoo.errors import DataError
from genzoo.spec import DataSpec

MAX_BYTES = 2**32
_STEMS = {"train": "train", "test": "t10k"}
_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True, kw_only=True)
class IDXConfig(DataConfig):
    """IDX files in a folder."""

    folder: str | None = None
    """Where the files are; by default where they are found, else on the Hub."""


class IDXFolder(DataSource):
    """A folder with train-images-idx3-ubyte, t10k-images-idx3-ubyte and their labels, or .gz."""

    Config = DataConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_STEMS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey."""
        return read_folder(Path(self.location), split, Path(self.location).name)


class FashionMNIST(DataSource):
    """Zalando's 70,000 articles of clothing, 28 × 28, in ten classes.

    | Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms
    | (Xiao, Rasul, Vollgraf, 2017)
    """

    Config = IDXConfig
    grammar = FASHION_CAPTIONS
    repository = "zalando-datasets/fashion_mnist"

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_STEMS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey."""
        homes = ["/usr/share/datasets/fashion-mnist"]
        return _load(self.config, split, "fashion-mnist", homes, self.repository, _FASHION)


class MNIST(DataSource):
    """LeCun, Cortes and Burges' 70,000 handwritten digits, 28 × 28.

    | Gradient-based learning applied to document recognition (LeCun et al., 1998)
    """

    Config = IDXConfig
    grammar = DIGIT_CAPTIONS
    repository = "ylecun/mnist"

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(_STEMS)

    def load(self, split: str) -> Dataset:
        """Return one split, grey."""
        homes = ["/usr/share/datasets/mnist"]
        names = tuple("0123456789")
        return _load(self.config, split, "mnist", homes, self.repository, names)


def _load(
    config: IDXConfig,
    split: str,
    name: str,
    homes: list[str],
    repository: str,
    class_names: tuple[str, ...],
) -> Dataset:
    """Read from the folder given, else from one where a system package puts the files."""
    if config.folder is not None:
        return read_folder(Path(config.folder), split, name, class_names)
    for home in homes:
        if _find(Path(home), f"{_STEMS[split]}-images-idx3-ubyte") is not None:
            return read_folder(Path(home), split, name, class_names)
    from genzoo.data.hub import load_from_hub

    try:
        return load_from_hub(repository, split, config)
    except DataError as error:
        raise DataError(
            f"{name} is not at hand: no IDX files in {', '.join(homes)}, and the Hub gave: "
            f"{error} Give --data.folder FOLDER (Debian has a package dataset-fashion-mnist)."
        ) from error


def read_folder(
    folder: Path, split: str, name: str, class_names: tuple[str, ...] = ()
) -> ArrayDataset:
    """Read images and labels of a split; images become (1, H, W) in [0, 1].

    Raises:
        DataError: A file is missing, truncated, or no IDX file.
    """
    images = _read(folder, f"{_STEMS[split]}-images-idx3-ubyte", dimensions=3)
    labels = _read(folder, f"{_STEMS[split]}-labels-idx1-ubyte", dimensions=1)
    if len(images) != len(labels):
        raise DataError(f"{folder} has {len(images)} images and {len(labels)} labels.")
    spec = DataSpec(
        event_shape=(1, *images.shape[1:]),
        kind="unit",
        range=(0.0, 1.0),
        num_classes=max(len(class_names), int(labels.max()) + 1),
        class_names=class_names,
        levels=256,
    )
    x = torch.from_numpy(images)[:, None]
    return ArrayDataset(x, spec, f"{name}/{split}", torch.from_numpy(labels).long(), 255.0)


def _find(folder: Path, stem: str) -> Path | None:
    paths = [folder / stem, folder / f"{stem}.gz"]
    return next((path for path in paths if path.exists()), None)


def _read(folder: Path, stem: str, *, dimensions: int) -> np.ndarray[Any, Any]:
    path = _find(folder, stem)
    if path is None:
        raise DataError(f"{str(folder)!r} holds no {stem} (nor {stem}.gz).")
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            return _parse(cast(BinaryIO, file), dimensions)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"{path} is damaged or no IDX file: {error}. Fetch it again.") from error


def _parse(file: BinaryIO, dimensions: int) -> np.ndarray[Any, Any]:
    """Read an array of bytes: no more of them than its header tells of."""
    magic = file.read(4)
    if magic != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"its first bytes are {magic.hex()}, not those of unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    size = math.prod(shape)
    if not 0 < size <= MAX_BYTES:
        raise ValueError(f"its header tells of {shape} bytes; 1 to {MAX_BYTES} are read")
    body = file.read(size + 1)
    if len(body) != size:
        raise ValueError(f"{len(body)} bytes or more where its header tells of {shape}")
    return np.frombuffer(body, np.uint8).reshape(shape).copy()
