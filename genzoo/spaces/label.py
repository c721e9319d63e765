"""Label: one class index for each row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import DataError
from genzoo.spaces.indices import (
    NULL,
    Indices,
    Names,
    Number,
    check_names,
    index_of,
    rules_of,
    whole_numbers,
)
from genzoo.spaces.rules import first_bad, hold, shortest
from genzoo.spaces.space import Space
from genzoo.text_safety import visible

_MOST = 2**20


@dataclass(frozen=True, kw_only=True)
class Label(Indices):
    """One of C classes for each row, (B,) of int64; −1 where it is not given.

    >>> Label(num_classes=2, names=("shoe", "boot")).parse("boot")
    tensor(1)
    """

    num_classes: Number
    """C."""
    names: Names = ()
    """The name of each class."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names(self.names, self.num_classes, "Label.names")

    @property
    def num_dims(self) -> int:
        """1."""
        return 1

    @property
    def count(self) -> int | None:
        """C."""
        return self.num_classes

    @property
    def null(self) -> Tensor:
        """−1."""
        return torch.tensor(NULL)

    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError if a label is not in 0 to C − 1."""
        rules = rules_of(values, self.num_classes)
        if not hold(values, rules):
            row, value = first_bad(values, rules)
            raise DataError(f"{noun} {row} is {shortest(value)}. {self._remedy(value.item())}")

    def _remedy(self, value: float) -> str:
        if value == NULL:
            return "Leave out the rows without a label, or use a model that takes them."
        fits = 0 < value < _MOST and value % 1 == 0
        more = f", or make the model with {int(value) + 1} classes" if fits else ""
        return f"Number the labels from 0{more}."

    def cast(self, values: Any) -> Tensor:
        """Return integers, or names of classes, as int64."""
        if isinstance(values, str):
            return self.parse(values)
        if isinstance(values, (list, tuple)) and any(isinstance(v, str) for v in values):
            return torch.stack([self.cast(value) for value in values])
        return whole_numbers(values, "a label")

    def value_names(self) -> tuple[str, ...]:
        """Return ``names``."""
        return self.names

    def enumerate(self) -> Tensor:
        """Return all classes."""
        return torch.arange(self.num_classes)

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw classes uniformly; the log-mass is −ln C."""
        rows = torch.randint(self.num_classes, (num,), generator=generator)
        return rows, torch.full((num,), -math.log(self.num_classes), dtype=torch.float64)

    def accepts(self, other: Space) -> str | None:
        """Accept Label with at most as many classes; names are not compared."""
        if not isinstance(other, Label):
            return f"they are {other}"
        if other.num_classes > self.num_classes:
            return f"they have {other.num_classes} classes, not {self.num_classes}"
        return None

    def vectors(self, values: Any) -> Tensor | None:
        """Return one-hot labels."""
        return torch.nn.functional.one_hot(values, self.num_classes).float()

    def images(self, values: Any) -> Tensor | None:
        """Return None, because a label is shown as text."""
        return None

    def lines(self, values: Any) -> list[str] | None:
        """Return the names of the classes, or their numbers."""
        return [self.name_of(index) for index in values.tolist()]

    def name_of(self, index: int) -> str:
        """Return the name of a class, or its number if it has none."""
        return visible(self.names[index]) if 0 <= index < len(self.names) else str(index)

    def parse(self, text: str) -> Tensor:
        """Return the class of a text, by its index or its name."""
        return torch.tensor(index_of(text, self.names, self.num_classes))

    def __str__(self) -> str:
        return f"labels from 0 to {self.num_classes - 1}"
