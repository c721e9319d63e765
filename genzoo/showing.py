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


def show(x: Any, space: Space | None = None) -> Image.Image:
    """Return a picture of rows; as the last line of a notebook's cell it is shown.

    Arguments:
        x: Rows (N, *event_shape), such as samples; or a list of states of the same rows, from the
            first to the last, which are shown next to each other.
        space: Their space, such as ``model.event``, if they are not images, vectors or points as
            they are.

    Raises:
        DataError: There are no rows, or they cannot be shown.

    >>> show(torch.rand(4, 1, 8, 8)).size
    (323, 323)
    """
    if len(x) == 0:
        raise DataError("There are no rows to show.")
    if isinstance(x, (list, tuple)) and not isinstance(x[0], str):
        return plotting.trajectories([_images(state, space) for state in x])
    return plotting.picture(_images(x, None)) if space is None else picture_of(space, x)


def _images(rows: Any, space: Space | None) -> Tensor:
    """Return rows as numbers to plot; without a space, bytes of images are scaled to [0, 1]."""
    if space is not None:
        return images_of(space, rows)
    x = torch.as_tensor(rows)
    are_bytes = x.dtype == torch.uint8 and x.max() > 1
    return x / 255 if are_bytes else x.float()


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


def are_lines(space: Space) -> bool:
    """Whether rows of a space are shown as lines of text."""
    return _empty_images(space) is None


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
