"""Indices of classes or categories, and their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from genzoo.config import Bounds, shown
from genzoo.errors import ConditionError, ConfigError, DataError, suggest
from genzoo.spaces.rules import Rule, fraction, same
from genzoo.spaces.space import Space
from genzoo.text_safety import visible

NULL = -1
"""The index that means "not given"."""
Number = Annotated[int, Bounds(1, 2**20)]
"""The number of classes or categories."""
Names = Annotated[tuple[Annotated[str, Bounds(1, 256)], ...], Bounds(0, 10_000)]
"""One name for each, or none."""


class Indices(Space):
    """Abstract base class of spaces of int64 indices from 0, with −1 for "not given"."""

    @property
    def dtype(self) -> torch.dtype:
        """int64."""
        return torch.int64

    @property
    def is_discrete(self) -> bool:
        """True."""
        return True

    def is_null(self, values: Any) -> Tensor:
        """Return which rows are −1 everywhere."""
        found: Tensor = (values == NULL).reshape(len(values), self.num_dims).all(1)
        return found

    def with_null(self, values: Any, dropped: Tensor) -> Any:
        """Return rows with −1 where ``dropped``, without a copy from the host."""
        return values.masked_fill(dropped.reshape(-1, *[1] * (values.ndim - 1)), NULL)


def check_names(names: Sequence[str], num: int, where: str) -> None:
    """Raise ConfigError unless there are ``num`` different names, or none."""
    if names and len(names) != num:
        raise ConfigError(
            f"{where} must have one name for each of {num}, or none; got {len(names)} names."
        )
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise ConfigError(f"{where} has the name {shown(twice)} twice. Give each its own.")


def rules_of(values: Tensor, num: int) -> list[Rule]:
    """Return the rules of indices below ``num``: integers from 0."""
    whole = not values.is_floating_point()
    return [(same, 0, num - 1), *([] if whole else [(fraction, 0.0, 0.0)])]


def whole_numbers(values: Any, title: str) -> Tensor:
    """Return integers as int64, also from a floating type if nothing is lost.

    Raises:
        DataError: The values are not whole numbers.
    """
    try:
        found = torch.as_tensor(np.asarray(values) if isinstance(values, tuple) else values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{shown(values)} cannot be read as {title}: {error}.") from error
    if found.is_complex() or found.is_floating_point():
        raise DataError(f"{title.capitalize()} is a whole number; got values of {found.dtype}.")
    whole = found.long()
    if found.dtype == torch.uint64 and bool((whole < 0).any()):
        raise DataError(f"{shown(values)} cannot be read as {title}: 2^63 and more is too large.")
    return whole


def index_of(text: str, names: Sequence[str], num: int) -> int:
    """Return the index of a text: an integer, a name, ``index:10`` or ``name:10``.

    Raises:
        ConditionError: There is no such index or name, or it is ambiguous.

    >>> index_of("boot", ["shoe", "boot"], 2), index_of("1", ["shoe", "boot"], 2)
    (1, 1)
    """
    for prefix in ("index:", "name:"):
        if text.startswith(prefix) and text not in names:
            rest = text.removeprefix(prefix)
            return _number(rest, num) if prefix == "index:" else _named(rest, names, num)
    by_name = names.index(text) if text in names else None
    by_number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
    if by_name is None:
        return _named(text, names, num) if by_number is None else _number(text, num)
    if by_number is not None and by_number != by_name:
        raise ConditionError(
            f"{shown(text)} is the name of index {by_name} and may be the index {by_number} too. "
            f"Give name:{visible(text)} or index:{visible(text)}."
        )
    return by_name


def _number(text: str, num: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < num):
        raise ConditionError(f"The index {shown(text)} is not in 0 to {num - 1}.")
    return int(text)


def _named(text: str, names: Sequence[str], num: int) -> int:
    if text in names:
        return list(names).index(text)
    known = suggest(text, names) if names else "The classes have no names."
    raise ConditionError(
        f"{shown(text)} is neither an index from 0 to {num - 1} nor a name. {known}"
    )
