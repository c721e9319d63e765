"""A survey of images: their common size and mode, checked before training begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from genzoo.data.images.appearance import Mode
from genzoo.data.images.config import PicturesConfig
from genzoo.data.images.headers import Header, Size
from genzoo.errors import DataError


class Survey:
    """Counts of what the headers of images say.

    Arguments:
        config: How the images become rows.
    """

    def __init__(self, config: PicturesConfig) -> None:
        self.config = config
        self.first: tuple[str, Size] | None = None
        self.num = self.num_colour = self.num_alpha = self.num_deep = self.num_more = 0

    def add(self, headers: Iterable[tuple[str, Header]]) -> Self:
        """Count images.

        Arguments:
            headers: The name and the header of each.

        Raises:
            DataError: Two images differ in size, and the config names none.
        """
        for name, header in headers:
            self._check_size(name, header.size)
            self.num += 1
            self.num_colour += header.mode == "RGB"
            self.num_alpha += header.has_alpha
            self.num_deep += header.is_deep
            self.num_more += header.has_more
        return self

    def joined(self, others: Iterable[Survey]) -> Survey:
        """Return the survey of these images and of those of other splits.

        Raises:
            DataError: Two of them differ in size, and the config names none.
        """
        found = Survey(self.config)
        for survey in (self, *others):
            if survey.first is not None:
                found._check_size(*survey.first)
            found.num += survey.num
            found.num_colour += survey.num_colour
        return found

    def deciding_for(self, other: Survey) -> Survey:
        """Return this survey, whose size and mode the images of another one get too.

        Raises:
            DataError: They differ in size, and the config names none.
        """
        self.joined([other])
        return self

    @property
    def mode(self) -> Mode:
        """Colour if any image has colour, or as the config says."""
        return self.config.mode or ("RGB" if self.num_colour else "L")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a row, (C, H, W)."""
        channels, side = 1 if self.mode == "L" else 3, self.config.size
        width, height = (side, side) if side else self.first[1] if self.first else (0, 0)
        return channels, height, width

    def notes(self, mode: Mode) -> tuple[str, ...]:
        """Return what is unusual about the images.

        Arguments:
            mode: The mode that they are read in.
        """
        colour, is_chosen = self.num_colour, self.config.mode is not None
        num_grey = self.num - colour if mode == "RGB" and colour else 0
        num_lost = 0 if mode == "RGB" or is_chosen else colour
        found = (
            (num_grey, "Grey, but read in colour", "For grey rows: --data.mode L."),
            (num_lost, "In colour, but read as the grey first split", "Or: --data.mode RGB."),
            (
                self.num_alpha,
                f"With an alpha channel, shown on {self.config.background}",
                "For another background: --data.background COLOUR.",
            ),
            (self.num_deep, "With 16 bits, scaled from their full range to 8", ""),
            (self.num_more, "With several frames, of which the first is read", ""),
        )
        return tuple(
            f"{what}: {num} of {self.num} images. {remedy}".rstrip()
            for num, what, remedy in found
            if num
        )

    def _check_size(self, name: str, size: Size) -> None:
        if self.first is None:
            self.first = name, size
        other, known = self.first
        if size != known and self.config.size is None:
            raise DataError(
                f"{name} has {size[0]} × {size[1]} pixels and {other} has {known[0]} × "
                f"{known[1]}: all images must have one size. Give --data.size N to crop and "
                "resize them."
            )
