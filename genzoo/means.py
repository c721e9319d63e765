"""The mean rows of fields, computed when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

ComputedMean = Callable[[], Tensor | None]
"""A function that returns a mean row, or None if it is not known."""


class Means(Mapping[str, Tensor]):
    """A mapping of fields to mean rows, in which a function stands for a row until it is needed.

    A function is called at the first question about its field, such as ``"x" in means``, and once
    for all copies of the mapping. A field whose function returns None is not in the mapping.

    Arguments:
        entries: A row, or a function that returns one, for each field.

    >>> import torch
    >>> means = Means({"x": lambda: torch.zeros(2), "y": lambda: None})
    >>> means["x"].tolist(), list(means)
    ([0.0, 0.0], ['x'])
    """

    def __init__(self, entries: Mapping[str, Tensor | ComputedMean]) -> None:
        given = entries.entries if isinstance(entries, Means) else entries
        self.entries: dict[str, Tensor | _Once] = {
            name: _entry(value) for name, value in given.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        """Return the mean row of a field; it is computed the first time."""
        entry = self.entries[name]
        value = entry() if isinstance(entry, _Once) else entry
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over the fields whose mean is known; all means are computed."""
        return (name for name in self.entries if name in self)

    def __len__(self) -> int:
        """Return the number of fields whose mean is known; all means are computed."""
        return sum(1 for _ in self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the computed means for another process, which need not have the data."""
        return Means, (dict(self),)

    def __repr__(self) -> str:
        """Return the fields; nothing is computed."""
        return f"Means({', '.join(self.entries)})"


class _Once:
    """A function that is called once."""

    def __init__(self, function: ComputedMean) -> None:
        self._function: ComputedMean | None = function
        self._value: Tensor | None = None

    def __call__(self) -> Tensor | None:
        if self._function is not None:
            self._value, self._function = self._function(), None
        return self._value


def _entry(value: Tensor | ComputedMean) -> Tensor | _Once:
    return value if isinstance(value, (Tensor, _Once)) else _Once(value)
