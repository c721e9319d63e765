"""The usual names of splits, in any letter case."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""The split that each name means."""
SPLITS = tuple(dict.fromkeys(SPLIT_NAMES.values()))
"""The splits, the training split first."""
_SEPARATORS = re.compile(r"[-_. ]+")


def split_of(name: str) -> str | None:
    """Return the split that the name of a file or folder names; None if it names none.

    >>> split_of("mine_train"), split_of("Validation-00000-of-00001"), split_of("trains")
    ('train', 'valid', None)
    """
    parts = _SEPARATORS.split(name.casefold())
    found = {SPLIT_NAMES.get(part) for part in (parts[0], parts[-1])} - {None}
    return found.pop() if len(found) == 1 else None


def split_among(name: str, splits: Sequence[str]) -> str | None:
    """Return the split that is asked for by a usual name; None if there is none.

    >>> split_among("val", ("train", "validation")), split_among("test", ("train",))
    ('validation', None)
    """
    if name in splits:
        return name
    meant = SPLIT_NAMES.get(name.casefold())
    same = [s for s in splits if meant and SPLIT_NAMES.get(s.casefold()) == meant]
    return same[0] if len(same) == 1 else None
