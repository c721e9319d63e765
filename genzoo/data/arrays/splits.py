"""One space for all splits of a source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.layout import into_shape
from genzoo.data.arrays.reading import TOLERANCE, Reader, Reading
from genzoo.data.arrays.rows import stored_rows
from genzoo.errors import DataError
from genzoo.spaces import Space


def shared_space(
    arrays: Sequence[Any], name: str, *, scale: float | None = None, space: str | None = None
) -> Space:
    """Return the space of all splits: that of the first.

    Integers that are read as levels or categories get as many as all splits have.

    Arguments:
        arrays: The rows of each split, the first one first.
        name: The name of the first split's rows, for errors.
        scale: The divisor that the user gave.
        space: The registered name of the space that the user gave.

    Raises:
        DataError: The rows of the first split cannot be read.
    """
    some = arrays if is_counted(space, scale) else arrays[:1]
    readers = [Reader(stored_rows(x, name), name, scale) for x in some]
    found = [r.inferred().space if space is None else r.named(space).space for r in readers]
    return max(found, key=lambda one: one.num_values or 0)


def is_counted(space: str | None, scale: float | None) -> bool:
    """Whether the number of levels or categories may follow from the rows of all splits."""
    return scale is None and space is not None


def read_like(reader: Reader, like: Space, space: str | None) -> Reading:
    """Return the reading of rows in the space of another split.

    Arguments:
        reader: Reads the rows.
        like: The space of the other split.
        space: The registered name of the space that the user gave.

    Raises:
        DataError: The rows are not in that space.
    """
    if space is not None and reader.is_converted(space):
        found = reader.named(space)
        if reason := like.accepts(found.space):
            raise DataError(
                f"{reader.name} does not fit the first split, {like.describe()}: {reason}."
            )
        return found
    layout = into_shape(reader.rows, like.event_shape, reader.name)
    scale = reader.scale or (_divisor(like) if reader.is_whole else 1)
    ends, notes = like.bounds or (-math.inf, math.inf), (layout.note,) if layout.note else ()
    reading = Reading(like, scale, layout, ends, notes=notes)
    if reader.has_bytes and like.bounds is not None and like.num_values == scale + 1 >= 256:
        return reading  # All bytes are levels.
    facts = reader.look(scale)
    low, high = facts.low / scale, facts.high / scale
    near = like.bounds == (0, 1) and -TOLERANCE < low <= high < 1 + TOLERANCE
    clip = near and not 0 <= low <= high <= 1
    rows = layout.arrange(reader.rows)
    Conversion(like, scale, clip).check(rows, f"{reader.name} must fit the first split,")
    return dataclasses.replace(reading, clip=clip)


def _divisor(space: Space) -> float:
    """Return what whole numbers are divided by: L − 1 for L levels, otherwise 1."""
    if space.bounds is None or space.num_values is None:
        return 1
    low, high = space.bounds
    return (space.num_values - 1) / (high - low)
