"""Rows as pictures or lines of text, as their space defines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from genzoo import plotting
from genzoo.errors import DataError
from genzoo.spaces import Space

MAX_LINES = 100


def picture_of(space: Space, rows: Any) -> Image.Image:
    """Return the picture of rows of a space: images, points, or the first 100 as lines of text.

    Raises:
        DataError: They cannot be shown.
    """
    images = space.images(rows)
    if images is not None:
        return plotting.picture(images)
    lines = space.lines(space.take(rows, range(min(MAX_LINES, len(rows)))))
    if lines is None:
        raise DataError(f"There is no picture of {space.describe()}. Write an .npz instead.")
    return plotting.lines_of_text(lines)


def images_of(space: Space, rows: Any) -> Tensor:
    """Return rows of a space as arguments of `genzoo.plotting`.

    Raises:
        DataError: They are not shown as a picture.
    """
    images = space.images(rows)
    if images is None:
        raise DataError(
            f"Rows of {space.describe()} are text and not images. Write an .npz instead."
        )
    return images


def save_picture(space: Space, rows: Any, path: str | Path) -> None:
    """Write the picture of rows of a space; see `picture_of`."""
    plotting.write_picture(picture_of(space, rows), path)


def can_be_shown(space: Space) -> bool:
    """Whether there is a picture of rows of a space."""
    images = _empty_images(space)
    return images is None or _are_images(images)


def are_points(space: Space) -> bool:
    """Whether rows of a space are shown as points in the plane."""
    images = _empty_images(space)
    return images is not None and plotting.are_points(images)


def are_their_images(space: Space) -> bool:
    """Whether rows of a space are images, points or vectors as they are.

    If so, `genzoo.plotting` draws them; otherwise use `save_picture` of this module.
    """
    return type(space).images is Space.images and space.dtype.is_floating_point


def is_image(space: Space) -> bool:
    """Whether rows of a space are images (C, H, W)."""
    return len(space.event_shape) == 3 and not space.value_names() and can_be_shown(space)


def _empty_images(space: Space) -> Tensor | None:
    """Return the images of a row without values, or None if rows are shown as text."""
    if not space.event_shape:
        return None
    empty = torch.empty((1, *space.event_shape), dtype=space.dtype, device="meta")
    return space.images(empty)


def _are_images(x: Tensor) -> bool:
    try:
        plotting.as_images(x)
    except DataError:
        return False
    return True
