"""Categorical: rows of indices, with or without names."""

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
from genzoo.spaces.rules import Rule
from genzoo.spaces.shaped import Shaped
from genzoo.spaces.space import Space
from genzoo.text_safety import visible


@dataclass(frozen=True, kw_only=True)
class Categorical(Indices, Shaped):
    """One of K categories at each place, (B, *shape) of int64.

    With ``names``, an alphabet, a row is shown as text.

    >>> letters = Categorical(shape=(3,), num_categories=2, names=("a", "b"))
    >>> letters.lines(torch.tensor([[0, 1, 1]]))
    ['abb']
    """

    num_categories: Number
    """K."""
    names: Names = ()
    """The name of each category, such as a letter; a row is shown as its names in order."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_names(self.names, self.num_categories, "Categorical.names")

    @property
    def count(self) -> int | None:
        """K^D."""
        return self.count_of(self.num_categories)

    @property
    def null(self) -> Tensor:
        """−1 at each place."""
        return torch.full(self.shape, NULL)

    def cast(self, values: Any) -> Tensor:
        """Return integers as int64."""
        return whole_numbers(values, "a category")

    def value_names(self) -> tuple[str, ...]:
        """Return ``names``."""
        return self.names

    def enumerate(self) -> Tensor:
        """Return all rows; the first place varies slowest."""
        return self.listed(torch.arange(self.num_categories))

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw categories uniformly; the log-mass is −D ln K."""
        rows = torch.randint(self.num_categories, (num, *self.shape), generator=generator)
        log_mass = -self.num_dims * math.log(self.num_categories)
        return rows, torch.full((num,), log_mass, dtype=torch.float64)

    @classmethod
    def made_from(cls, other: Space, low: float, high: float) -> str:
        """Return the flag that turns levels into categories."""
        if other.is_discrete and other.bounds == (0, 1):
            return "Give --data.space categorical; in Python, space='categorical'."
        return ""

    @classmethod
    def of_rows(cls, shape: tuple[int, ...], low: float, high: float, steps: int | None) -> Space:
        """Return whole numbers from 0 to the greatest one."""
        if steps != 1 or low < 0:
            what = "not whole" if steps != 1 else f"below 0, such as {low:g}"
            raise DataError(f"categories are whole numbers from 0; some values are {what}.")
        return cls(shape=shape, num_categories=max(2, int(high) + 1))

    @property
    def num_values(self) -> int | None:
        """The number of categories."""
        return self.num_categories

    def accepts(self, other: Space) -> str | None:
        """Accept Categorical of the same shape with at most as many categories."""
        if not isinstance(other, Categorical):
            return f"they are {other}"
        if other.num_categories > self.num_categories:
            return f"they have {other.num_categories} categories, not {self.num_categories}"
        return self.shape_differs(other)

    def vectors(self, values: Any) -> Tensor | None:
        """Return the one-hot codes of all places, concatenated."""
        found = torch.nn.functional.one_hot(values, self.num_categories)
        return found.flatten(1).float()

    def images(self, values: Any) -> Tensor | None:
        """Return categories as grey levels, 0 black and K − 1 white; None if they have names."""
        if self.names:
            return None
        grey: Tensor = values.float() / max(1, self.num_categories - 1)
        return grey

    def lines(self, values: Any) -> list[str] | None:
        """Return each row as the names of its categories, if they have names."""
        if not self.names:
            return None
        rows = values.reshape(len(values), -1).tolist()
        return [visible("".join(self._name(index) for index in row)) for row in rows]

    def _name(self, index: int) -> str:
        return self.names[index] if 0 <= index < len(self.names) else "�"

    def parse(self, text: str) -> Tensor:
        """Return the row of a text: letters, or names and indices separated by commas."""
        parts = text.replace(",", " ").split()
        letters = all(len(name) == 1 for name in self.names) and len(text) == self.num_dims
        if self.names and letters and len(parts) != self.num_dims:
            parts = list(text)
        if len(parts) != self.num_dims or not self.names:
            found: Tensor = super().parse(text)
            return found
        index = [index_of(part, self.names, self.num_categories) for part in parts]
        return torch.tensor(index).reshape(self.shape)

    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rule: x is an integer from 0 to K − 1."""
        return rules_of(values, self.num_categories)

    def remedy(self, value: float, noun: str) -> str:
        """Return the remedy."""
        return "Give class indices, counted from 0."

    def __str__(self) -> str:
        return f"whole numbers from 0 to {self.num_categories - 1}"
