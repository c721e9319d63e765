"""Text: one string for each row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.config import Bounds, shown
from genzoo.errors import DataError
from genzoo.spaces.space import Space
from genzoo.text_safety import visible
from genzoo.values import is_trusted

Templates = Annotated[tuple[Annotated[str, Bounds(1, 4096)], ...], Bounds(0, 100)]
"""The templates of a grammar; see `genzoo.captions`."""


@dataclass(frozen=True, kw_only=True)
class Text(Space):
    """A text for each row, as a list of B strings; the empty text means "not given".

    >>> Text().cast("a boot"), Text().repeat("a boot", 2)
    ('a boot', ['a boot', 'a boot'])
    """

    templates: Templates = ()
    """The templates that the texts are made from, if they are known."""

    @classmethod
    def example(cls, shape: tuple[int, ...]) -> Space:
        """Return texts of two templates, because models that fit texts fit their words."""
        return cls(templates=("a {size=small|large} cup", "the {size=small|large} one"))

    @property
    def num_dims(self) -> int:
        """1, because a text is one value."""
        return 1

    @property
    def is_discrete(self) -> bool:
        """True."""
        return True

    @property
    def null(self) -> str:
        """The empty text."""
        return ""

    def templates_of_texts(self) -> tuple[str, ...]:
        """Return ``templates``."""
        return self.templates

    def check_form(self, values: Any, who: str, *, noun: str = "row") -> None:
        """Raise DataError unless ``values`` are a list of texts."""
        if isinstance(values, (list, tuple)) and all(isinstance(value, str) for value in values):
            return
        raise DataError(f"{who} takes {noun}s as a list of texts; got {shown(values)}.")

    def check(self, values: Any, *, noun: str = "row") -> None:
        """Accept every text except the empty one, which means "not given"."""
        for row, value in enumerate(values):
            if not value:
                raise DataError(f"{noun} {row} is empty. Leave it out, or write something.")

    def cast(self, values: Any) -> Any:
        """Return one text as it is, and several as a list."""
        if isinstance(values, str):
            return values
        found = list(values) if isinstance(values, Iterable) else None
        if found is None or not all(isinstance(value, str) for value in found):
            raise DataError(f"A text, or a list of texts, was asked for; got {shown(values)}.")
        return found

    def reference(self, num: int, generator: torch.Generator) -> tuple[Any, Tensor]:
        """Raise DataError, because there are infinitely many texts."""
        raise DataError("There is no distribution that gives every text a known probability.")

    def accepts(self, other: Space) -> str | None:
        """Accept any Text."""
        return None if isinstance(other, Text) else f"they are {other}"

    def _is_read(self, values: Any) -> bool:
        return bool(values) and not is_trusted()

    def _of_shape(self, values: Any) -> str:
        return ""

    def is_one(self, values: Any) -> bool:
        """Whether the value is one text."""
        return isinstance(values, str)

    def repeat(self, row: Any, num: int) -> list[str]:
        """Return one text ``num`` times."""
        return [row] * num

    def take(self, values: Any, index: Sequence[int] | Tensor) -> list[str]:
        """Return the texts at ``index``."""
        return [values[i] for i in torch.as_tensor(index).tolist()]

    def collate(self, rows: Sequence[Any]) -> list[str]:
        """Return texts as a list."""
        return list(rows)

    def concatenate(self, parts: Sequence[Any]) -> list[str]:
        """Return the texts of all parts."""
        return [text for part in parts for text in part]

    def place(self, values: Any, device: torch.device, dtype: torch.dtype) -> Any:
        """Return the texts as they are."""
        return values

    def is_null(self, values: Any) -> Tensor:
        """Return which texts are empty."""
        return torch.tensor([not value for value in values], dtype=torch.bool)

    def with_null(self, values: Any, dropped: Tensor) -> list[str]:
        """Return texts, with the empty text where ``dropped``."""
        return ["" if drop else text for text, drop in zip(values, dropped.tolist(), strict=True)]

    def vectors(self, values: Any) -> Tensor | None:
        """Return None, because a text has no vector."""
        return None

    def images(self, values: Any) -> Tensor | None:
        """Return None, because a text is shown as it is."""
        return None

    def lines(self, values: Any) -> list[str] | None:
        """Return the texts, with hidden characters made visible."""
        return [visible(value) for value in values]

    def parse(self, text: str) -> str:
        """Return the text itself."""
        return text

    def __str__(self) -> str:
        return "texts"
