"""The axes of images: a channel axis is added, and channels that come last are moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from genzoo.errors import DataError

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Layout:
    """The way from stored rows to rows of a shape.

    Arguments:
        shape: The shape of one row.
        arrange: Returns all stored rows, as a view, with this shape.
        note: What was changed; empty if nothing was.
    """

    shape: tuple[int, ...]
    arrange: Callable[[Tensor], Tensor] = lambda rows: rows
    note: str = ""


def has_image_shape(rows: Tensor) -> bool:
    """Whether rows have the shape of images: (N, H, W), (N, C, H, W) or (N, H, W, C)."""
    return rows.ndim in (3, 4)


def as_stored(rows: Tensor) -> Layout:
    """Return the layout that changes nothing."""
    return Layout(tuple(rows.shape[1:]))


def as_images(rows: Tensor, *, add_channel: bool) -> Layout:
    """Return the layout (C, H, W) of images.

    Channels come last if the last axis has 1, 3 or 4 places and the first has not.

    Arguments:
        rows: The stored rows.
        add_channel: Whether (N, H, W) gets a channel axis.
    """
    shape = tuple(rows.shape[1:])
    if len(shape) == 2 and add_channel:
        return _with_channel(shape)
    if len(shape) == 3 and shape[2] in _CHANNELS and shape[0] not in _CHANNELS:
        return _channels_first(shape)
    return as_stored(rows)


def into_shape(rows: Tensor, shape: tuple[int, ...], name: str) -> Layout:
    """Return the layout that gives rows the shape of another split.

    Raises:
        DataError: There is none.
    """
    found = tuple(rows.shape[1:])
    layouts = [as_stored(rows)]
    layouts += [_with_channel(found)] if len(found) == 2 else []
    layouts += [_channels_first(found)] if len(found) == 3 else []
    for layout in layouts:
        if layout.shape == shape:
            return layout
    raise DataError(
        f"{name} has rows of shape {found}; those of the first split have shape {shape}. Reshape "
        "or resize them."
    )


def _with_channel(shape: tuple[int, ...]) -> Layout:
    note = f"rows of shape {shape} are taken as grey images {(1, *shape)}"
    return Layout((1, *shape), lambda rows: rows.unsqueeze(1), note)


def _channels_first(shape: tuple[int, ...]) -> Layout:
    height, width, channels = shape
    new = (channels, height, width)
    note = f"rows of shape {shape} are taken as images whose channels come last: {new}"
    return Layout(new, lambda rows: rows.movedim(-1, 1), note)
