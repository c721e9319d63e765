"""What the numbers of an array mean: the space that is inferred, or the one that is named.

The first rule that fits holds:

1. Only 0 and 1 occur: `Binary`.
2. Integers that are not images of bytes may be levels or categories: the user must say which.
3. Images of bytes are `Unit` with 256 levels. Numbers in [0, 1] are `Unit`; what is off by less
   than 10⁻⁵ is clipped.
4. Numbers above 1 that are whole, or that have the shape of images, were probably not divided: the
   user must say so. Other numbers, and those with negative ones, are `Real`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genzoo import plugin_hints, registry
from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.facts import Facts, look_at
from genzoo.data.arrays.layout import Layout, as_images, as_stored, has_image_shape
from genzoo.data.arrays.rows import is_whole_type
from genzoo.errors import ConfigError, DataError, UnknownNameError
from genzoo.spaces import Binary, Categorical, Real, Space, Unit

TOLERANCE = 1e-5
"""Numbers that leave [0, 1] by less are clipped."""
_KNOWN = (Categorical, Real)
"""Classes for which the facts show that all rows are in the space."""
_GREY = 32
"""Bytes below are more likely categories, or few levels, than images."""


@dataclass(frozen=True)
class Reading:
    """How stored rows are read.

    Arguments:
        space: The space of the rows.
        scale: What every value is divided by.
        layout: The way to the shape of the space.
        ends: The least and the greatest value after division.
        clip: Whether values are clipped to [0, 1].
        rewrite: What is done to the divided rows, such as a threshold.
        notes: What the user should know.
    """

    space: Space
    scale: float
    layout: Layout
    ends: tuple[float, float]
    clip: bool = False
    rewrite: Callable[[Any], Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Reads rows in a space that is inferred, or named.

    Arguments:
        rows: The stored rows.
        name: Their name, for errors.
        scale: The divisor that the user gave.
    """

    rows: Tensor
    name: str
    scale: float | None = None

    def inferred(self) -> Reading:
        """Return the reading by the rules of this module.

        Raises:
            DataError: There are two readings, or the values were not divided.
        """
        if self.scale is not None:
            return self._divided(self.scale)
        facts = self.look(until=_is_grey if self.has_bytes else None)
        if facts.two:
            return self.made(Binary, facts)
        if facts.low <= -TOLERANCE and not self.is_whole:
            return self._noted(self.made(Real, facts))
        if self.is_whole:
            if not (self.has_bytes and self.is_image and facts.high >= _GREY):
                raise self._ambiguous(facts)
            return self.made(Unit, Facts(0, 255), 255)
        if facts.high < 1 + TOLERANCE:
            return self.made(Unit, facts)
        if facts.whole or self.is_image:
            raise self._undivided(facts)
        return self._noted(self.made(Real, facts))

    def named(self, name: str) -> Reading:
        """Return the reading in the space with a registered name.

        Raises:
            UnknownNameError: There is no such space.
            DataError: The values cannot be read so.
        """
        cls = space_named(name)
        if cls is Unit:
            return self._unit()
        if self.is_converted(name):
            return self._converted(name)
        facts, scale = self.look(), self.scale or 1
        try:
            found = self.made(cls, facts, scale)
        except DataError as error:
            raise DataError(f"{self.name}: {error} Leave --data.space out.") from error
        if cls not in _KNOWN:
            Conversion(found.space, scale).check(self.rows, f"{self.name} must hold")
        return found

    def is_converted(self, name: str) -> bool:
        """Whether rows of the space with this name are made from grey levels."""
        cls = space_named(name)
        return cls is Binary or (cls is Categorical and self.scale is not None)

    def look(self, top: float = 1.0, until: Callable[[Facts], bool] | None = None) -> Facts:
        """Return facts about the stored values."""
        if until is None:
            return look_at(self.rows, self.name, top)
        return look_at(self.rows, self.name, top, until=until)

    def made(self, cls: type[Space], facts: Facts, scale: float = 1) -> Reading:
        """Return the reading in a space of a class, for values with these facts."""
        images = cls in (Binary, Unit)
        add_channel = cls is Unit and self.is_whole
        layout = as_images(self.rows, add_channel=add_channel) if images else as_stored(self.rows)
        low, high = facts.low / scale, facts.high / scale
        whole = (self.is_whole or (cls is not Unit and facts.whole)) and scale % 1 == 0
        steps = int(scale) if whole else None
        try:
            space = cls.of_rows(layout.shape, low, high, steps)
        except ConfigError as error:
            raise DataError(f"{self.name}: {error}") from error
        clip = cls is Unit and not self.is_whole and not 0 <= low <= high <= 1
        ends, notes = space.bounds or (low, high), (layout.note,) if layout.note else ()
        return Reading(space, scale, layout, ends, clip, notes=notes)

    @property
    def is_whole(self) -> bool:
        """Whether the stored type is one of whole numbers."""
        return is_whole_type(self.rows)

    @property
    def is_image(self) -> bool:
        """Whether rows have the shape of images."""
        return has_image_shape(self.rows)

    @cached_property
    def has_bytes(self) -> bool:
        """Whether the stored values are bytes."""
        return self.rows.dtype == torch.uint8

    def _divided(self, scale: float) -> Reading:
        """Return the reading of values that are divided by what the user gave."""
        beyond = self.has_bytes and scale >= 255  # All bytes are in [0, 1] then.
        facts = self.look(scale, _is_not_two if beyond else None)
        if facts.two:
            return self.made(Binary, Facts(0, scale), scale)
        if facts.low / scale <= -TOLERANCE:
            return self.made(Real, facts, scale)
        if facts.high / scale <= 1 + (0 if self.is_whole else TOLERANCE):
            return self.made(Unit, facts, scale)
        if self.is_whole or facts.whole or self.is_image:
            raise self._undivided(facts)
        return self.made(Real, facts, scale)

    def _unit(self) -> Reading:
        """Return the reading as numbers in [0, 1]; integers are levels."""
        asked = self.is_whole and self.scale is None
        facts = self.look(until=_is_grey if asked and self.has_bytes else None)
        scale = self.scale or 1
        if asked:
            grey = self.has_bytes and facts.high >= _GREY
            scale = 255 if grey else self._top(max(1, int(facts.high)))
            facts = dataclasses.replace(facts, high=scale)
        if facts.low / scale <= -TOLERANCE:
            raise DataError(
                f"{self.name} has values down to {facts.low / scale:g}, not in [0, 1]. Leave "
                "--data.space out, or shift and rescale them."
            )
        if facts.high / scale > 1 + TOLERANCE:
            raise self._undivided(facts)
        found = self.made(Unit, facts, scale)
        return found if not asked or self.has_bytes else self._on_levels(found)

    @staticmethod
    def _top(high: int) -> int:
        """Return the greatest level: that of 8 or 16 bits if the upper half of them occurs."""
        return next((top for top in (255, 65535) if top // 2 < high <= top), high)

    def _on_levels(self, found: Reading) -> Reading:
        note = f"whole numbers are divided by {found.scale:g}; for another divisor, give the scale"
        return dataclasses.replace(found, notes=(*found.notes, note))

    def _converted(self, name: str) -> Reading:
        """Return the reading in a space that grey levels are converted to."""
        found = self.inferred() if self.scale is not None else self._zeros_and_ones()
        if registry.name_of("spaces", type(found.space)) == name:
            return found
        try:
            space, rewrite = found.space.into(name)
        except DataError as error:
            raise DataError(f"{self.name}: {error} Leave --data.space out.") from error
        ends = space.bounds or (-torch.inf, torch.inf)
        notes = (*found.notes, f"numbers in [0, 1] are converted to {space.describe()}")
        return dataclasses.replace(found, space=space, rewrite=rewrite, ends=ends, notes=notes)

    def _zeros_and_ones(self) -> Reading:
        facts = self.look(until=_is_not_two)
        return self.made(Binary, facts) if facts.two else self._unit()

    def _noted(self, reading: Reading) -> Reading:
        """Return a reading as real numbers, with notes on what may be images."""
        low, high = reading.ends
        notes = []
        if self.is_image and -1 <= low < high <= 1:
            notes.append(
                f"values in [{low:g}, {high:g}] are taken as real numbers; if they are images, "
                "give (x + 1) / 2"
            )
        if as_images(self.rows, add_channel=False).note:
            notes.append(
                f"rows of shape {tuple(self.rows.shape[1:])} are kept so; if channels come last, "
                "give x.transpose(0, 3, 1, 2)"
            )
        return dataclasses.replace(reading, notes=tuple(notes))

    def _ambiguous(self, facts: Facts) -> DataError:
        kind = str(self.rows.dtype).removeprefix("torch.")
        if facts.low < 0:
            return DataError(
                f"{self.name} holds whole numbers from {facts.low:g} to {facts.high:g} ({kind}); "
                "levels and categories begin at 0. Shift them, or give --data.space real; in "
                "Python, space='real'."
            )
        up_to = "of 32 and more" if _is_grey(facts) and self.has_bytes else f"up to {facts.high:g}"
        return DataError(
            f"{self.name} holds whole numbers {up_to} ({kind}, rows of shape "
            f"{tuple(self.rows.shape[1:])}), which may be levels or categories. Give --data.space "
            "unit or --data.space categorical; in Python, space='unit' or space='categorical'."
        )

    def _undivided(self, facts: Facts) -> DataError:
        high = facts.high
        by = 255 if 127 < high <= 255 else high
        given = "" if self.scale in (None, 1) else f", which --data.scale {self.scale:g} divides"
        return DataError(
            f"{self.name} has values up to {high:g}{given}, not in [0, 1]. Divide by {by:g}? Give "
            f"--data.scale {by:g}, or --data.space real to keep them; in Python, scale={by:g} or "
            "space='real'."
        )


def space_named(name: str) -> type[Space]:
    """Return the class of spaces with a registered name.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in registry.names("spaces"):
        advice = plugin_hints.advice_for(name, "spaces")
        raise UnknownNameError("space", name, registry.names("spaces"), advice)
    found: type[Space] = registry.load("spaces", name)
    return found


def _is_grey(facts: Facts) -> bool:
    return facts.high >= _GREY


def _is_not_two(facts: Facts) -> bool:
    return not facts.two
