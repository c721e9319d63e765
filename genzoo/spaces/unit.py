"""Unit: rows of numbers from 0 to 1."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.config import Bounds
from genzoo.errors import DataError
from genzoo.spaces.binary import Binary
from genzoo.spaces.categorical import Categorical
from genzoo.spaces.rules import Rule, off_level, same, scale_hint
from genzoo.spaces.shaped import Shaped
from genzoo.spaces.space import Space

MAX_LEVELS = 2**16
GREY = "unit"
"""The registered name of the space of grey levels."""
_OFF_LEVEL = 0.01


@dataclass(frozen=True, kw_only=True)
class Unit(Shaped):
    """Real numbers in [0, 1], (B, *shape) of float32; with L levels, multiples of 1/(L − 1).

    >>> Unit(shape=(1,), levels=3).enumerate().tolist()
    [[0.0], [0.5], [1.0]]
    """

    levels: Annotated[int | None, Bounds(2, MAX_LEVELS)] = None
    """The number of equally spaced values including 0 and 1, such as 256 for images of bytes; None
    for all numbers."""

    @classmethod
    def example(cls, shape: tuple[int, ...]) -> Space:
        """Return grey levels, because a model of probabilities takes no other numbers."""
        return cls(shape=shape, levels=4)

    @property
    def is_discrete(self) -> bool:
        """Whether there are levels."""
        return self.levels is not None

    @property
    def count(self) -> int | None:
        """L^D, if there are levels."""
        return None if self.levels is None else self.count_of(self.levels)

    def enumerate(self) -> Tensor:
        """Return all rows; the first value varies slowest."""
        if self.levels is None:
            found: Tensor = super().enumerate()
            return found
        return self.listed(torch.arange(self.levels) / (self.levels - 1))

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw numbers, or levels, uniformly; the log-density is 0, the log-mass −D ln L."""
        if self.levels is None:
            rows = torch.rand(num, *self.shape, generator=generator)
            return rows, torch.zeros(num, dtype=torch.float64)
        level = torch.randint(self.levels, (num, *self.shape), generator=generator)
        log_mass = -self.num_dims * math.log(self.levels)
        return level / (self.levels - 1), torch.full((num,), log_mass, dtype=torch.float64)

    def accepts(self, other: Space) -> str | None:
        """Accept Unit of the same shape; with levels, only the same levels."""
        if not isinstance(other, Unit):
            return f"they are {other}"
        if self.levels is not None and other.levels != self.levels:
            return f"they are {other}, not {self}"
        return self.shape_differs(other)

    def relaxed(self) -> Space:
        """Return the space without levels."""
        return replace(self, levels=None)

    @property
    def num_values(self) -> int | None:
        """The number of levels, if there are any."""
        return self.levels

    @property
    def bounds(self) -> tuple[float, float] | None:
        """0 and 1."""
        return 0.0, 1.0

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Return the divisor of numbers; categories are not divided."""
        return "" if isinstance(other, Categorical) else scale_hint(low, high)

    @classmethod
    def of_rows(cls, shape: tuple[int, ...], low: float, high: float, steps: int | None) -> Space:
        """Return Unit, with levels if the values have at most 2^16 of them."""
        # Finer steps cannot be distinguished in float32.
        levels = steps + 1 if steps is not None and steps < MAX_LEVELS else None
        return cls(shape=shape, levels=levels)

    def into(self, name: str) -> tuple[Space, Callable[[Any], Any]]:
        """Return zeros and ones by the threshold 0.5, or the levels as categories from 0."""
        if name == "unit":
            return self, same
        if name == "binary":
            return Binary(shape=self.shape), _cut
        if name != "categorical" or self.levels is None:
            return super().into(name)
        steps = self.levels - 1
        space = Categorical(shape=self.shape, num_categories=self.levels)
        return space, functools.partial(_level, steps=steps)

    def rounded(self, levels: int) -> tuple[Space, Callable[[Any], Any]]:
        """Return L equally spaced levels; x becomes the nearest, ⌊x (L − 1) + 1/2⌋ / (L − 1)."""
        if self.levels is not None and self.levels < levels:
            raise DataError(f"{self.describe()}: these values have fewer levels than {levels}.")
        own = None if self.levels is None else self.levels - 1
        return replace(self, levels=levels), functools.partial(_nearest, steps=levels - 1, own=own)

    @property
    def bits_of_density(self) -> float:
        """log₂ L: the density of a uniform step of width 1/L is L times its probability."""
        return 0.0 if self.levels is None else math.log2(self.levels)

    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rules: x is in [0, 1], and close to a level."""
        steps = None if self.levels is None else self.levels - 1
        off = [] if steps is None else [(off_level(steps), -_OFF_LEVEL, _OFF_LEVEL)]
        return [(same, 0, 1), *off]

    def remedy(self, value: float, noun: str) -> str:
        """Return how to convert numbers to [0, 1], or to levels."""
        if value > 1:
            return "Divide by 255?" if value >= 2 else "Divide by the maximum, or clamp."
        if value < 0:
            return "Are they in [-1, 1]? Then give (x + 1) / 2."
        steps = (self.levels or 2) - 1
        return (
            f"Round them: (x * {steps}).round() / {steps}; or make the model with the data's "
            "own levels."
        )

    def __str__(self) -> str:
        if self.levels is None:
            return "values in [0, 1]"
        return f"the {self.levels} levels 0, 1/{self.levels - 1}, ..., 1"


# Functions with a name, because rows may be sent to another process.


def _cut(x: Tensor) -> Tensor:
    return (x > 0.5).float()


def _nearest(x: Tensor, *, steps: int, own: int | None) -> Tensor:
    if own is None:
        return (x * steps + 0.5).floor() / steps
    # In whole numbers, because a value halfway between two levels may be off in float32.
    level = (2 * steps * _level(x, steps=own) + own) // (2 * own)
    return level.to(x.dtype) / steps


def _level(x: Tensor, *, steps: int) -> Tensor:
    return (x * steps).round().long()
