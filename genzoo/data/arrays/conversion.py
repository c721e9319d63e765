"""The way from stored rows to rows in the canonical form of a space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.data.arrays.rows import blocks
from genzoo.errors import DataError
from genzoo.spaces import Space
from genzoo.spaces.rules import renumbered
from genzoo.spaces.shaped import Shaped


@dataclass(frozen=True)
class Conversion:
    """A function from stored rows to canonical ones.

    Arguments:
        space: The space of the result.
        scale: What every value is divided by.
        clip: Whether values are clipped to [0, 1] after that.
        rewrite: What is done to the rows after that.
    """

    space: Space
    scale: float = 1.0
    clip: bool = False
    rewrite: Callable[[Any], Any] | None = None

    @property
    def only_divides(self) -> bool:
        """Whether nothing but a division changes the values."""
        plain = isinstance(self.space, Shaped) and self.space.dtype.is_floating_point
        return plain and not self.clip and self.rewrite is None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return rows in the canonical form; the stored ones are unchanged."""
        x = rows.to(torch.float32 if self.rewrite is not None else self.space.dtype)
        if self.scale != 1:
            # Large batches are faster in place, which rows of the right type must not be.
            x = x / self.scale if x is rows else x.div_(self.scale)
        if self.clip:
            x = x.clamp(0, 1)
        if self.rewrite is not None:
            found: Tensor = self.rewrite(x)
            return found
        return x if isinstance(self.space, Shaped) else self.space.cast(x)

    def check(self, rows: Tensor, who: str) -> None:
        """Raise DataError for the first of the stored rows that is not in the space.

        Arguments:
            rows: The rows, in the shape of the space.
            who: The begin of the message.
        """
        first = 0
        for block in blocks(rows):
            try:
                self.space.check(self(block))
            except DataError as wrong:
                text = f"{who} {self.space.describe()}; {wrong}"
                numbers = range(first, first + len(block))
                raise DataError(renumbered(text, "row", numbers)) from wrong
            first += len(block)
