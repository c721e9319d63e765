"""Folders of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from genzoo.config import Bounds
from genzoo.data.dataset import DataConfig, Dataset, DataSource
from genzoo.errors import DataError
from genzoo.spec import DataSpec

MAX_PIXELS = 64 * 2**20
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(DataConfig):
    """A folder of images."""

    size: Annotated[int | None, Bounds(1, 16384)] = None
    """Crop to the middle square and resize it to so many pixels a side."""
    mode: Literal["L", "RGB"] | None = None
    """Grey (L) or colour (RGB); by default that of the first image."""


class ImageFolder(DataSource):
    """Images below a folder; folders train, valid and test are splits, folders below classes."""

    Config = ImagesConfig

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the folder has."""
        return tuple(s for s in _SPLITS if Path(self.location, s).is_dir()) or ("train",)

    def load(self, split: str) -> Dataset:
        """Return one split, read from the disk batch by batch."""
        root = Path(self.location)
        root = root / split if (root / split).is_dir() else root
        paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in _ENDINGS)
        if not paths:
            raise DataError(f"{str(root)!r} holds no images ({', '.join(_ENDINGS)}).")
        return ImageFiles(root, paths, self.config)


class ImageFiles(Dataset):
    """Images of one size, decoded when they are asked for.

    Arguments:
        root: The folder whose first level of folders are the classes, if there are any.
        paths: The files.
        config: How they are read.
    """

    def __init__(self, root: Path, paths: list[Path], config: ImagesConfig) -> None:
        self.paths, self.size = paths, config.size
        self.mode = config.mode or _mode(paths[0])
        folders = [path.relative_to(root).parts[0] for path in paths]
        flat = any(path.parent == root for path in paths)
        classes = [] if flat else sorted(set(folders))
        self.label = torch.tensor([classes.index(f) for f in folders]) if classes else None
        self.name = root.name
        self.spec = DataSpec(
            event_shape=tuple(self._read(paths[0]).shape),
            kind="unit",
            range=(0.0, 1.0),
            num_classes=len(classes) or None,
            class_names=tuple(classes),
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the images at ``indices``."""
        index = torch.as_tensor(indices)
        images = [self._read(self.paths[i]) for i in index.tolist()]
        for i, image in zip(index.tolist(), images, strict=True):
            if tuple(image.shape) != self.spec.event_shape:
                raise DataError(
                    f"{self.paths[i]} has shape {tuple(image.shape)}, the first image "
                    f"{self.spec.event_shape}. Give --data.size N to make them equal."
                )
        found: dict[str, Any] = {"x": torch.stack(images)}
        return found if self.label is None else {**found, "label": self.label[index]}

    def _read(self, path: Path) -> Tensor:
        image = open_image(path).convert(self.mode)
        if self.size is not None:
            image = ImageOps.fit(image, (self.size, self.size))
        return to_tensor(image)


def to_tensor(image: Image.Image) -> Tensor:
    """Return a grey or colour image as float32 (C, H, W) in [0, 1]."""
    x = torch.from_numpy(np.array(image, dtype=np.uint8)).float() / 255
    return x[None] if x.ndim == 2 else x.permute(2, 0, 1).contiguous()


def open_image(path: Path) -> Image.Image:
    """Open an image after looking at its size; a small file can unpack to gigabytes.

    Raises:
        DataError: It cannot be read, or has too many pixels.
    """
    try:
        image = Image.open(path)
        if image.width * image.height > MAX_PIXELS:
            raise DataError(f"{path} has {image.size} pixels; {MAX_PIXELS} are allowed.")
        image.load()
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    return image


def _mode(path: Path) -> str:
    return "L" if open_image(path).mode in ("L", "1", "I;16", "I") else "RGB"
