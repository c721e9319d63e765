"""Binary: rows of zeros and ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.spaces.categorical import Categorical
from genzoo.spaces.rules import Rule, same, scale_hint, spread
from genzoo.spaces.shaped import Shaped
from genzoo.spaces.space import Space


@dataclass(frozen=True, kw_only=True)
class Binary(Shaped):
    """Zeros and ones, (B, *shape) of float32.

    >>> Binary(shape=(2,)).enumerate().tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """

    @property
    def is_discrete(self) -> bool:
        """True."""
        return True

    @property
    def count(self) -> int | None:
        """2^D."""
        return self.count_of(2)

    def enumerate(self) -> Tensor:
        """Return all rows; the first value varies slowest."""
        return self.listed(torch.tensor([0.0, 1.0]))

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw each place from a fair coin; the log-mass is −D ln 2."""
        rows = torch.randint(2, (num, *self.shape), generator=generator).float()
        return rows, torch.full((num,), -self.num_dims * math.log(2), dtype=torch.float64)

    def accepts(self, other: Space) -> str | None:
        """Accept Binary of the same shape."""
        return self.shape_differs(other) if isinstance(other, Binary) else f"they are {other}"

    @property
    def num_values(self) -> int | None:
        """2."""
        return 2

    @property
    def bounds(self) -> tuple[float, float] | None:
        """0 and 1."""
        return 0.0, 1.0

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Return how to binarise grey values, or what to divide larger numbers by."""
        if isinstance(other, Categorical):
            return ""
        if not (low >= 0 and high <= 1):
            return scale_hint(low, high)
        return (
            "Give --data.binarize threshold (x > 0.5), static (one draw for each image) or "
            "dynamic (a draw at each presentation); in Python, binarize='threshold'."
        )

    def into(self, name: str) -> tuple[Space, Callable[[Any], Any]]:
        """Return the space itself, or two categories, 0 and 1."""
        if name == "binary":
            return self, same
        if name != "categorical":
            return super().into(name)
        return Categorical(shape=self.shape, num_categories=2), _index

    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rule: x is 0 or 1."""
        return [(spread, 0, 0)] if values.is_floating_point() else [(same, 0, 1)]

    def remedy(self, value: float, noun: str) -> str:
        """Return how to make zeros and ones."""
        first = "Divide by 255? Then binarise" if value >= 2 else "Binarise"
        return f"{first} them: (x > 0.5).float(), or load them with binarize='threshold'."

    def __str__(self) -> str:
        return "zeros and ones"


def _index(x: Tensor) -> Tensor:
    return x.round().long()
