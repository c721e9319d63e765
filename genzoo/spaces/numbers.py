"""Numbers in a text of the command line."""

from __future__ import annotations

from genzoo.config import shown
from genzoo.errors import ConditionError

_MOST = 2**16


def parsed(text: str, num: int, what: str) -> list[float]:
    """Return the ``num`` numbers of a text, separated by commas or spaces.

    Raises:
        ConditionError: It contains something else, or another number of values.

    >>> parsed("0.5, 1 2", 3, "three numbers")
    [0.5, 1.0, 2.0]
    """
    try:
        found = [float(part) for part in text[: 64 * _MOST].replace(",", " ").split()]
    except ValueError:
        found = []
    if len(found) != num or num > _MOST:
        plural = "" if num == 1 else "s, with commas between them"
        raise ConditionError(f"{shown(text)} was given for {what}. Give {num} number{plural}.")
    return found
