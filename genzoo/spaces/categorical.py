"""Categorical: rows of indices, with or without names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.config import Bounds, shown
from genzoo.errors import ConditionError, DataError
from genzoo.spaces import ends
from genzoo.spaces.indices import (
    NULL,
    Indices,
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

Letters = Annotated[tuple[Annotated[str, Bounds(0, 256)], ...], Bounds(0, 10_000)]
"""One name for each category, or none; an empty one, the last, marks padding."""
_UNKNOWN = "·"
"""A place that is −1, such as a masked one of a text that is being drawn."""
_CONTROL = str.maketrans("\t\n\r", "␉␊␍")
"""A row is one line, so these characters are shown by their symbols."""


@dataclass(frozen=True, kw_only=True)
class Categorical(Indices, Shaped):
    """One of K categories at each place, (B, *shape) of int64.

    With ``names``, an alphabet, a row is shown as text. If the last name is empty, its category is
    padding: it marks the end of a row, and only padding follows it in row-major order. A row with
    another category after its end is outside of the space.

    >>> letters = Categorical(shape=(3,), num_categories=2, names=("a", "b"))
    >>> letters.lines(torch.tensor([[0, 1, 1]]))
    ['abb']
    >>> words = Categorical(shape=(3,), num_categories=3, names=("a", "b", ""))
    >>> words.lines(torch.tensor([[0, 1, 2]]))
    ['ab']
    """

    num_categories: Number
    """K."""
    names: Letters = ()
    """The name of each category, such as a letter; a row is shown as its names in order.

    The last one may be empty: its category is padding.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        ends.check_padding(self.names, "Categorical.names")
        check_names(self.names, self.num_categories, "Categorical.names")

    @property
    def padding(self) -> int | None:
        """The category that is padding, K − 1, if the last name is empty; else None."""
        return self.num_categories - 1 if self.names and not self.names[-1] else None

    def ended(self, values: Tensor) -> Tensor:
        """Return rows with padding at each place after their first padding, in row-major order.

        Rows of a space without padding are returned unchanged.

        Arguments:
            values: Rows (B, *shape) of categories.

        >>> words = Categorical(shape=(3,), num_categories=3, names=("a", "b", ""))
        >>> words.ended(torch.tensor([[0, 2, 1], [2, 1, 0]])).tolist()
        [[0, 2, 2], [2, 2, 2]]
        """
        if self.padding is None:
            return values
        return ends.ended(self._flat(values), self.padding).reshape(values.shape)

    def check(self, values: Any, *, noun: str = "row") -> None:
        """Raise DataError if a value is not a category, or if a letter follows padding."""
        super().check(values, noun=noun)
        if self.padding is not None:
            ends.check_ends(self._flat(values).long(), self.padding, noun)

    def fill_missing(self, values: Tensor, missing: Tensor) -> Tensor:
        """Return rows with 0 where a category is missing.

        With padding, return 0 before the last letter that there is, and padding after it.

        >>> words = Categorical(shape=(3,), num_categories=3, names=("a", "b", ""))
        >>> words.fill_missing(torch.tensor([[7, 1, 7]]), torch.tensor([[True, False, True]]))
        tensor([[0, 1, 2]])
        """
        if self.padding is None or values.shape[1:] != self.shape:  # The check refuses others.
            return super().fill_missing(values, missing)
        flat, gaps = self._flat(values), self._flat(missing)
        return ends.fill_missing(flat, gaps, self.padding).reshape(values.shape)

    def _flat(self, values: Tensor) -> Tensor:
        return values.reshape(len(values), self.num_dims)

    @property
    def count(self) -> int | None:
        """K^D; with padding, Σ_{l=0}^{D} (K − 1)^l, the texts of at most D letters."""
        if self.padding is not None:
            return ends.count(self.padding, self.num_dims)
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
        if self.padding is not None and self.count is not None:
            return ends.listed(self.padding, self.num_dims).reshape(-1, *self.shape)
        return self.listed(torch.arange(self.num_categories))

    def reference(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw categories uniformly; the log-mass is −D ln K.

        With padding, draw a length l uniformly and then l letters: −ln(D + 1) − l ln(K − 1).
        """
        if self.padding is not None:
            rows, mass = ends.reference(self.padding, self.num_dims, num, generator)
            return rows.reshape(num, *self.shape), mass
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
        """Accept Categorical of the same shape with at most as many categories.

        With padding, accept rows that have the same padding or do not use its category. Without,
        accept rows with padding too, as a part of all rows.
        """
        if not isinstance(other, Categorical):
            return f"they are {other}"
        if other.num_categories > self.num_categories:
            return f"they have {other.num_categories} categories, not {self.num_categories}"
        if self.padding is not None and other.padding != self.padding:
            if other.padding is not None:
                return f"their padding is {other.padding}, not {self.padding}"
            if other.num_categories > self.padding:
                return f"they have no padding, and {self.padding} is padding"
        return self.shape_differs(other)

    def vectors(self, values: Any) -> Tensor | None:
        """Return the one-hot codes of all places, concatenated."""
        found = torch.nn.functional.one_hot(values, self.num_categories)
        return found.flatten(1).float()

    def images(self, values: Any) -> Tensor | None:
        """Return categories as grey levels, 0 black and K − 1 white; None if they have names.

        A place that is −1, such as a masked one, is mid-grey.
        """
        if self.names:
            return None
        grey: Tensor = values.float() / max(1, self.num_categories - 1)
        return grey.masked_fill(values == NULL, 0.5)

    def lines(self, values: Any) -> list[str] | None:
        """Return each row as the names of its categories, if they have names.

        Padding is left out, and a place that is −1 is a dot; tabs and line breaks are shown by
        their symbols.
        """
        if not self.names:
            return None
        rows = values.reshape(len(values), -1).tolist()
        texts = ("".join(self._name(index) for index in row) for row in rows)
        return [visible(text.translate(_CONTROL)) for text in texts]

    def _name(self, index: int) -> str:
        if index == NULL:
            return _UNKNOWN
        return self.names[index] if 0 <= index < len(self.names) else "�"

    def parse(self, text: str) -> Tensor:
        """Return the row of a text: letters, or names and indices separated by commas.

        With padding, a shorter text is padded.
        """
        parts, places = self._parts(text), self.num_dims
        if not self.names or (len(parts) != places and self.padding is None):
            found: Tensor = super().parse(text)
            return found
        if len(parts) > places:
            raise ConditionError(
                f"{shown(text)} was given for {self.describe()}. Give at most {places} of the "
                "names, as one text or with commas between them."
            )
        index = [index_of(part, self.names, self.num_categories) for part in parts]
        index += [self.num_categories - 1] * (places - len(index))
        row = torch.tensor(index).reshape(self.shape)
        self.require(row[None], "A condition", noun="condition", error=ConditionError)
        return row

    def _parts(self, text: str) -> list[str]:
        """Return the letters of a text if each name is a letter, else its parts."""
        parts = text.replace(",", " ").split()
        if any(len(name) > 1 for name in self.names):
            return parts
        symbols = {name.translate(_CONTROL): name for name in self.names}
        letters = [c if c in self.names else symbols.get(c, c) for c in text]
        whole = len(text) == self.num_dims != len(parts)
        if self.padding is not None:
            whole = len(text) <= self.num_dims and set(letters) <= set(self.names)
        return [f"name:{letter}" for letter in letters] if whole else parts

    def rules(self, values: Tensor) -> list[Rule]:
        """Return the rule: x is an integer from 0 to K − 1."""
        return rules_of(values, self.num_categories)

    def remedy(self, value: float, noun: str) -> str:
        """Return the remedy."""
        return "Give class indices, counted from 0."

    def __str__(self) -> str:
        more = "" if self.padding is None else f", of which {self.padding} is padding"
        return f"whole numbers from 0 to {self.num_categories - 1}{more}"
