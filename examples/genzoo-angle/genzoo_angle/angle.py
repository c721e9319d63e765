"""Angle: a space of angles."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import Bounds, ConditionError, ConfigError, DataError, Space

MAX_VALUES = 2**20
_END = torch.tensor(math.pi).item()
"""π as float32 has it, 9e-8 above π."""
_DEGREE = math.pi / 180


@dataclass(frozen=True, kw_only=True)
class Angle(Space):
    """Angles in [−π, π), in radians, (B, *shape) of float32.

    >>> Angle(shape=(1,)).parse("90deg")
    tensor([1.5708])
    """

    shape: Annotated[tuple[Annotated[int, Bounds(1, MAX_VALUES)], ...], Bounds(1, 8)]
    """The shape of one row."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.prod(self.shape) > MAX_VALUES:
            raise ConfigError(
                f"Angle.shape must have at most 2^20 values, got {self.shape}. Make it smaller."
            )

    # What every space writes

    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError where a number is outside of [−π, π); NaN is outside too."""
        bad = ~((values >= -_END) & (values < _END))
        if not bool(bad.any()):
            return
        row = int(bad.flatten(1).any(1).nonzero()[0])
        value = values[row][bad[row]].flatten()[0].item()
        wrap = "Give x mod 2π: (x + π) % (2π) − π, which genzoo_angle.angle.wrap computes."
        remedy = wrap if math.isfinite(value) else f"Remove or fill such {noun}s."
        raise DataError(f"{noun} {row} holds {value:.9g}. {remedy}")

    def cast(self, values: Any) -> Tensor:
        """Return numbers, or texts as `parse` reads them, as float32; π becomes −π."""
        if isinstance(values, str):
            return self.parse(values)
        try:
            found = torch.as_tensor(values)
        except (TypeError, ValueError, RuntimeError) as error:
            said = f"{reprlib.repr(values)} cannot be read as angles: {error}."
            raise DataError(said) from error
        if found.is_complex():
            raise DataError(f"Angles are real numbers; got values of {found.dtype}.")
        return _closed(found.float())

    @property
    def num_dims(self) -> int:
        """The number of angles of a row."""
        return math.prod(self.shape)

    @property
    def is_discrete(self) -> bool:
        """False."""
        return False

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw each angle alike over the circle; the log-density is −D ln 2π."""
        turns = torch.rand(num, *self.shape, generator=generator, dtype=torch.float64)
        log_density = -self.num_dims * math.log(2 * math.pi)
        rows = self.cast(2 * math.pi * turns - math.pi)
        return rows, torch.full((num,), log_density, dtype=torch.float64)

    def accepts(self, other: Space) -> str | None:
        """Take Angle of the same shape."""
        if not isinstance(other, Angle):
            return f"they are {other}"
        alike = self.shape == other.shape
        return None if alike else f"they have shape {other.shape}, not {self.shape}"

    def __str__(self) -> str:
        return "angles in [-π, π)"

    # What would be otherwise by default

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return self.shape

    def vectors(self, values: Any) -> Tensor:
        """Return the cosine and the sine of each angle: −π and π are close there."""
        return points(values).flatten(1).float()

    def images(self, values: Any) -> Tensor:
        """Return points on the unit circle of one angle, in the plane of two; else grey."""
        if self.num_dims == 1:
            return points(values)[:, 0].float()
        rows: Tensor = values.float()
        return rows if self.shape == (2,) else (rows + math.pi) / (2 * math.pi)

    def parse(self, text: str) -> Tensor:
        """Return the row that a text writes: radians, or degrees such as 90deg, with commas."""
        parts = text.replace(",", " ").split()
        try:
            given = [_radians(part) for part in parts]
        except ValueError:
            given = []
        if len(given) != self.num_dims:
            plural = "angle" if self.num_dims == 1 else "angles, with commas between them"
            raise ConditionError(
                f"{reprlib.repr(text)} was given for {self.describe()}. Give {self.num_dims} "
                f"{plural}, in radians (1.57) or in degrees (90deg)."
            )
        row = torch.tensor(given, dtype=torch.float64).reshape(self.shape)
        self.require(row[None], "A condition", noun="condition", error=ConditionError)
        return self.cast(row)

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Say how numbers become angles."""
        return (
            "If they are angles, wrap them into [-π, π) (genzoo_angle.angle.wrap) and give "
            "--data.space angle."
        )


def points(values: Tensor) -> Tensor:
    """Return cos x and sin x of angles (B, ...) as points of the plane, (B, D, 2)."""
    flat = values.flatten(1)
    return torch.stack([flat.cos(), flat.sin()], dim=-1)


def wrap(values: Tensor) -> Tensor:
    """Return angles of any size as those in [−π, π) that they are the same as.

    >>> wrap(torch.tensor([4.0, -7.0, math.pi]))
    tensor([-2.2832, -0.7168, -3.1416])
    """
    turned = torch.remainder(values.double() + math.pi, 2 * math.pi) - math.pi
    return _closed(turned.to(values.dtype))


def _closed(values: Tensor) -> Tensor:
    """Return angles of which those that are π once they are rounded are −π, the same angle."""
    return torch.where(values == _END, -_END, values)


def _radians(text: str) -> float:
    return float(text.removesuffix("deg")) * (_DEGREE if text.endswith("deg") else 1)
