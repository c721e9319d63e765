"""Folders of images."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from genzoo.config import Bounds
from genzoo.data.dataset import DataConfig, Dataset, DataSource
from genzoo.data.fields import image_fields
from genzoo.data.unpacking import check_file
from genzoo.errors import DataError
from genzoo.spec import DataInfo

MAX_PIXELS = 2**25
"""The default limit of pixels of an image."""
MaxPixels = Annotated[int, Bounds(1, 2**27)]
"""The type of the config field with this limit; beyond its bound, Pillow refuses images too."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""The formats that are decoded; for some others, Pillow would start another program."""
_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_SPLITS = ("train", "valid", "test")
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(DataConfig):
    """A folder of images."""

    size: Annotated[int | None, Bounds(1, 16384)] = None
    """Crop to the central square and resize it to this number of pixels per side."""
    mode: Literal["L", "RGB"] | None = None
    """Grey (L) or colour (RGB); by default that of the first image."""
    max_pixels: MaxPixels = MAX_PIXELS
    """Images with more pixels are refused before they are decoded."""


class ImageFolder(DataSource[ImagesConfig]):
    """Images in a folder; subfolders train, valid and test are splits, others are classes."""

    Config = ImagesConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that the folder has."""
        return tuple(s for s in _SPLITS if Path(self.location, s).is_dir()) or ("train",)

    def load(self, split: str) -> Dataset:
        """Return one split, read from the disk batch by batch."""
        home = Path(self.location)
        roots = [home / name if (home / name).is_dir() else home for name in self.splits()]
        root = roots[self.splits().index(split)]
        paths = _images(root)
        if not paths:
            raise DataError(f"{str(root)!r} has no images ({', '.join(_ENDINGS)}).")
        found = [_classes(each) for each in roots]
        classes = sorted(set().union(*found)) if all(found) else []
        return ImageFiles(root, paths, self.config, classes, f"{home.resolve().name}/{split}")


class ImageFiles(Dataset):
    """Images of one size, decoded when they are read.

    Arguments:
        root: The folder that contains all of them.
        paths: The files.
        config: The config.
        classes: The names of the folders in ``root`` that are classes; may be empty.
        name: The dataset's name.
    """

    def __init__(
        self, root: Path, paths: list[Path], config: ImagesConfig, classes: list[str], name: str
    ) -> None:
        self.paths, self.size, self.name = paths, config.size, name
        self.most = config.max_pixels
        self.mode = config.mode or mode_of(open_image(paths[0], most=self.most))
        numbers = {folder: number for number, folder in enumerate(classes)}
        folders = [path.relative_to(root).parts[0] for path in paths]
        self.label = torch.tensor([numbers[f] for f in folders]) if classes else None
        fields = image_fields(self._read(paths[0]).shape, names=classes)
        self.info = DataInfo(fields=fields, range={"x": (0.0, 1.0)})

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
            if tuple(image.shape) != self.info["x"].event_shape:
                raise DataError(
                    f"{self.paths[i]} has shape {tuple(image.shape)}, the first image "
                    f"{self.info['x'].event_shape}. Give --data.size N to make them equal."
                )
        found: dict[str, Any] = {"x": torch.stack(images)}
        return found if self.label is None else {**found, "label": self.label[index]}

    def labels(self) -> Tensor | None:
        """Return the label of every image, from its folder."""
        return self.label

    def _read(self, path: Path) -> Tensor:
        image = as_mode(open_image(path, most=self.most), self.mode)
        if self.size is not None:
            image = ImageOps.fit(image, (self.size, self.size))
        return to_tensor(image)


def to_tensor(image: Image.Image) -> Tensor:
    """Return a grey or colour image as float32 (C, H, W) in [0, 1]."""
    x = torch.from_numpy(np.array(image, dtype=np.uint8))
    x = x[None] if x.ndim == 2 else x.permute(2, 0, 1).contiguous()
    return x.float().div_(255)  # In place, which saves a copy of a large image.


def open_image(
    file: Path | io.BytesIO, name: object = "", *, most: int = MAX_PIXELS
) -> Image.Image:
    """Open an image after checking its size; a small file can unpack to gigabytes.

    Arguments:
        file: Its path.
        name: Its name in errors; its path by default.
        most: The maximum number of pixels.

    Raises:
        DataError: It cannot be read, has none of the `FORMATS`, or has too many pixels.
    """
    try:
        if isinstance(file, Path):
            check_file(file)
        with warnings.catch_warnings():
            # Pillow warns about its own limit; genzoo's is lower, or was raised by the user.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
        if image.width * image.height > most:
            raise DataError(
                f"{name or file} has {image.width} × {image.height} pixels; {most} in all are "
                "allowed. Make it smaller, or raise the limit: --data.max-pixels "
                f"{image.width * image.height}."
            )
        image.load()
    except _UNREADABLE as error:
        raise DataError(
            f"{name or file} cannot be read as an image ({', '.join(FORMATS)}): {error}."
        ) from error
    return image


def as_mode(image: Image.Image, mode: str) -> Image.Image:
    """Return an image as grey (L) or colour (RGB); 16-bit values keep their upper 8 bits."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    return image.convert(mode)


def mode_of(image: Image.Image) -> str:
    """Return "L" for an image without colour, else "RGB"."""
    return "L" if image.mode in ("L", "LA", "1") or image.mode.startswith("I") else "RGB"


def _images(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in _ENDINGS)


def _classes(root: Path) -> set[str]:
    """Return the folders of ``root`` that contain images; none if it contains images itself."""
    parts = [path.relative_to(root).parts for path in _images(root)]
    return set() if any(len(part) == 1 for part in parts) else {part[0] for part in parts}
