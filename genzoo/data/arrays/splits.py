"""One space for all splits of a source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.facts import Facts
from genzoo.data.arrays.layout import into_shape
from genzoo.data.arrays.reading import TOLERANCE, Reader, Reading
from genzoo.data.arrays.rows import stored_rows
from genzoo.errors import DataError
from genzoo.spaces import Binary, Categorical, Real, Space, Unit


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
    return max(found, key=_num_values)


def is_counted(space: str | None, scale: float | None) -> bool:
    """Whether the number of levels or categories follows from the rows of all splits."""
    return scale is None and space in ("unit", "categorical")


def read_like(reader: Reader, like: Space, space: str | None) -> Reading:
    """Return the reading of rows in the space of another split.

    Arguments:
        reader: Reads the rows.
        like: The space of the other split.
        space: The registered name of the space that the user gave.

    Raises:
        DataError: The rows are not in that space.
    """
    if space == "binary" or (space == "categorical" and reader.scale is not None):
        found = reader.named(space)
        if reason := like.accepts(found.space):
            raise DataError(
                f"{reader.name} does not fit the first split, {like.describe()}: {reason}."
            )
        return found
    layout = into_shape(reader.rows, like.event_shape, reader.name)
    scale = _scale(reader, like)
    clip = isinstance(like, Unit) and not reader.is_whole
    ends, notes = like.bounds or (-math.inf, math.inf), (layout.note,) if layout.note else ()
    reading = Reading(like, scale, layout, ends, clip, notes=notes)
    if reader.has_bytes and isinstance(like, Unit) and like.levels == scale + 1 >= 256:
        return reading
    facts = reader.look(scale)
    if not _in_space(facts, reader, reading):
        rows = layout.arrange(reader.rows)
        Conversion(like, scale).check(rows, f"{reader.name} must fit the first split,")
    return reading


def _scale(reader: Reader, like: Space) -> float:
    levels = like.levels if isinstance(like, Unit) else None
    return reader.scale or (levels - 1 if levels is not None and reader.is_whole else 1)


def _num_values(space: Space) -> int:
    if isinstance(space, Unit):
        return space.levels or 0
    return space.num_categories if isinstance(space, Categorical) else 0


def _in_space(facts: Facts, reader: Reader, reading: Reading) -> bool:
    """Whether facts alone show that all rows are in the space."""
    space, low, high = reading.space, facts.low / reading.scale, facts.high / reading.scale
    if isinstance(space, Unit):
        known = space.levels is None or (reader.is_whole and space.levels == reading.scale + 1)
        return known and low > -TOLERANCE and high < 1 + TOLERANCE
    if isinstance(space, Categorical):
        return facts.whole and reading.scale == 1 and low >= 0 and high < space.num_categories
    return facts.two if isinstance(space, Binary) else isinstance(space, Real)
