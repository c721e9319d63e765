"""Shaped: the abstract base class of spaces with a shape."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.config import Bounds, shown
from genzoo.errors import ConfigError, DataError
from genzoo.spaces.rules import Rule, first_bad, hold, shortest
from genzoo.spaces.space import MAX_COUNT, Space

MAX_VALUES = 2**26
Shape = Annotated[tuple[Annotated[int, Bounds(1, MAX_VALUES)], ...], Bounds(1, 8)]
"""The shape of one row: at most 8 dimensions, and 2^26 values."""


@dataclass(frozen=True, kw_only=True)
class Shaped(Space, abc.ABC):
    """Abstract base class of spaces whose rows have one shape, with a number at each place.

    A subclass defines the allowed numbers with `rules`, and the advice for others with `remedy`.
    """

    shape: Shape
    """The shape of one row; (C, H, W) for images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.prod(self.shape) > MAX_VALUES:
            raise ConfigError(
                f"{type(self).__name__}.shape must have at most 2^26 values, got "
                f"{shown(self.shape)}."
            )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape

    @property
    def num_dims(self) -> int:
        """The number of values of a row."""
        return math.prod(self.shape)

    @abc.abstractmethod
    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rules of each number; NaN is outside of every interval."""

    @abc.abstractmethod
    def remedy(self, value: float, noun: str) -> str:
        """Return a sentence of advice for a number that is not allowed."""

    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError if a number breaks a rule; one pass and one host read."""
        values = values.detach()
        rules = self.rules(values)
        if hold(values, rules):
            return
        row, value = first_bad(values, rules)
        found = f"{'holds' if self.shape else 'is'} {shortest(value)}"
        number = value.item()
        remedy = f"Remove or fill such {noun}s." if not math.isfinite(number) else ""
        raise DataError(f"{noun} {row} {found}. {remedy or self.remedy(number, noun)}")

    def cast(self, values: Any) -> Tensor:
        """Return numbers as a tensor of the space's type; one number is a row of one value.

        Raises:
            DataError: The values are not numbers, or that type cannot hold them.
        """
        try:
            found = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError) as error:
            text = f"{shown(values)} cannot be read as {self.describe()}: {error}."
            raise DataError(text) from error
        if found.is_complex() or (found.is_floating_point() and not self.dtype.is_floating_point):
            raise DataError(f"{self.describe()} was asked for; got values of {found.dtype}.")
        if found.ndim == 0 and self.num_dims == 1:
            found = found.reshape(self.shape)
        # float64 is kept: the model decides on the precision.
        kept = found.is_floating_point() and self.dtype.is_floating_point
        return found if kept or found.dtype == self.dtype else found.to(self.dtype)

    def listed(self, values: Tensor) -> Tensor:
        """Return all rows with one of ``values`` (L,) at each place."""
        count, num = self.count_of(len(values)), len(values)
        if count is None:
            raise DataError(f"{self.describe()}: there are too many to list.")
        place = num ** torch.arange(self.num_dims - 1, -1, -1)
        index = torch.arange(count)[:, None] // place % num
        return values[index].reshape(count, *self.shape)

    def count_of(self, values: int) -> int | None:
        """Return L^D, the number of rows with one of L values at each place; None above 2^20."""
        few = self.num_dims * math.log2(values) <= math.log2(MAX_COUNT)
        return int(values**self.num_dims) if few else None

    def shape_differs(self, other: Shaped) -> str | None:
        """Return a message if another space has another shape; else None."""
        alike = self.shape == other.shape
        return None if alike else f"they have shape {other.shape}, not {self.shape}"
