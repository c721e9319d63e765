"""Natural order: as people sort names, 2 before 10."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(text: str) -> tuple[tuple[str, ...], str]:
    """Return the key that sorts texts naturally: numbers by value, letters without regard to case.

    Arguments:
        text: A name of a class, a file or a column.

    >>> sorted(["b10", "B2", "a", "b1"], key=natural_key)
    ['a', 'b1', 'B2', 'b10']
    """
    parts = _DIGITS.split(text)
    # Texts and numbers alternate and begin with a text, so that equal places can be compared.
    # The number of digits stands first: more digits are a greater number.
    parts[1::2] = [f"{len(digits.lstrip('0')):09}{digits.lstrip('0')}" for digits in parts[1::2]]
    return tuple(part.casefold() for part in parts), text
