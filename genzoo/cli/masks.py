"""What to fill in, from the words, the number or the file of ``--mask``."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from genzoo import seeds
from genzoo.errors import ConfigError, DataError
from genzoo.spaces import Space

WORDS = ("left", "right", "top", "bottom", "center")
_WHITE = 128


def mask_of(text: str, event: Space, num: int, seed: int) -> Tensor:
    """Return the mask of ``num`` rows, (num, *event_shape), true where values are filled in.

    Arguments:
        text: One of ``WORDS``, the share of random places, or the name of a file.
        event: The space of the rows.
        num: The number of rows.
        seed: The seed of random places.

    Raises:
        ConfigError: The text is none of these, or does not fit rows of this shape.
        DataError: The file cannot be read, or does not fit.
    """
    shape = event.event_shape
    if not shape:
        raise DataError(f"A row of {event.describe()} has one value: there is no part to fill in.")
    if text in WORDS:
        mask = _part(text, shape)
    elif (share := _share(text)) is not None:
        mask = _random(share, shape, num, seed)
    else:
        mask = _of_file(Path(text), shape)
    try:
        mask = mask.expand(num, *shape)
    except RuntimeError as error:
        raise DataError(
            f"The mask {text} has shape {tuple(mask.shape)}, which does not fit {num} rows of "
            f"shape {shape}. Give one value for each value of a row."
        ) from error
    if not bool(mask.flatten(1).any(1).all()):
        raise DataError(f"The mask {text} marks nothing of a row. Mark a part of it.")
    return mask


def _part(word: str, shape: tuple[int, ...]) -> Tensor:
    """Return the mask of a half, or of the middle, of one row."""
    mask = torch.zeros(shape, dtype=torch.bool)
    across, down = shape[-1], shape[-2] if len(shape) > 1 else 1
    if word in ("top", "bottom") and len(shape) == 1:
        raise ConfigError(
            f"Rows of shape {shape} have no {word}. Use left, right, center, a share or a file."
        )
    if word in ("left", "right"):
        mask[..., : across // 2] = True
        return mask if word == "left" else ~mask
    if word in ("top", "bottom"):
        mask[..., : down // 2, :] = True
        return mask if word == "top" else ~mask
    first, last = across // 4, across - across // 4
    if len(shape) == 1:
        mask[first:last] = True
        return mask
    mask[..., down // 4 : down - down // 4, first:last] = True
    return mask


def _share(text: str) -> float | None:
    """Return the number that a text is, or None.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    with contextlib.suppress(ValueError):
        share = float(text)
        if 0 < share < 1:
            return share
        raise ConfigError(f"--mask takes a share between 0 and 1, got {text}.")
    return None


def _random(share: float, shape: tuple[int, ...], num: int, seed: int) -> Tensor:
    """Return random places of each row; the channels of an image share them."""
    places = (1, *shape[1:]) if len(shape) == 3 else shape
    generator = seeds.generator(seeds.derive_seed("mask", seed))
    values = torch.rand(num, *places, generator=generator)
    # The lowest of the values is below any share: each row has something to fill in.
    lowest = values.flatten(1).amin(1).view(num, *[1] * len(places))
    return ((values < share) | (values == lowest)).expand(num, *shape)


def _of_file(path: Path, shape: tuple[int, ...]) -> Tensor:
    if not path.is_file():
        raise ConfigError(
            f"--mask takes {', '.join(WORDS)}, a share such as 0.3, or a file, and there is no "
            f"file {str(path)!r}."
        )
    if path.suffix in (".npy", ".npz"):
        return _of_array(path)
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image: {error}.") from error
    if len(shape) < 2 or values.shape != tuple(shape[-2:]):
        raise DataError(
            f"{path} has {values.shape[1]} by {values.shape[0]} pixels, and rows have shape "
            f"{shape}. Make the mask as large as a row."
        )
    return torch.from_numpy(values >= _WHITE)


def _of_array(path: Path) -> Tensor:
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded[loaded.files[0]] if path.suffix == ".npz" else loaded
    except (OSError, ValueError, EOFError, IndexError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}. Write it with numpy.save.") from error
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise DataError(f"{path} holds other values than true and false, or 0 and 1.")
    return torch.from_numpy(array.astype(bool))
