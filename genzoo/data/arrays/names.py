"""Names of arrays in a file: which are rows, labels and texts, and of which split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from genzoo.errors import DataError

SPLITS = ("train", "valid", "test")
"""The names of the splits, in order."""
_SPLIT_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ROLE_OF = {
    **dict.fromkeys(("x", "data", "image", "images", "input", "inputs", "features"), "rows"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets"), "label"),
    **dict.fromkeys(("text", "texts", "caption", "captions"), "text"),
}
_GLUED = re.compile(r"([xy]?)(train|valid|val|test)([xy]?)")


@dataclass(frozen=True)
class Part:
    """What an array of a file is.

    Arguments:
        role: "rows", "label" or "text".
        split: The split; empty if the name has none.
    """

    role: str
    split: str


def part_of(name: str) -> Part | None:
    """Return what a name says, in any case; None if it is not known.

    >>> part_of("X_train"), part_of("test_labels"), part_of("weights")
    (Part(role='rows', split='train'), Part(role='label', split='test'), None)
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if len(words) == 1 and (glued := _GLUED.fullmatch(words[0])):
        words = [word for word in glued.groups() if word]
    splits = [_SPLIT_OF[word] for word in words if word in _SPLIT_OF]
    roles = [_ROLE_OF[word] for word in words if word in _ROLE_OF]
    if not words or len(splits) + len(roles) < len(words) or max(len(splits), len(roles)) > 1:
        return None
    return Part(roles[0] if roles else "rows", splits[0] if splits else "")


@dataclass(frozen=True)
class Contents:
    """The arrays of a file by their parts.

    Arguments:
        rows: The name of the rows of each split, the first split first.
        labels: The name of the labels of each split, if it has some.
        texts: The name of the texts of each split, if it has some.
        left_out: The names of all others.
    """

    rows: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def contents_of(names: Iterable[str], where: str) -> Contents:
    """Sort the arrays of a file.

    Arguments:
        names: Their names.
        where: The file, for errors.

    Raises:
        DataError: It is not clear which are the rows.
    """
    names = list(names)
    parts = {name: part for name in names if (part := part_of(name))}
    rows = _rows(names, parts, where)
    labels, texts = (_of_splits(parts, rows, role) for role in ("label", "text"))
    used = {*rows.values(), *labels.values(), *texts.values()}
    return Contents(rows, labels, texts, tuple(name for name in names if name not in used))


def _rows(names: list[str], parts: dict[str, Part], where: str) -> dict[str, str]:
    found = _by_split(parts, "rows")
    splits = {split: found[split] for split in SPLITS if split in found}
    if not splits:
        unnamed = [name for name in names if name not in parts]
        splits = {"train": found.get("", unnamed)}
    for several in splits.values():
        if len(several) != 1:
            raise DataError(
                f"{where} holds {', '.join(names) or 'no array'}: it is not clear which are the "
                "rows. Name them train, valid and test, or x."
            )
    return {split: several[0] for split, several in splits.items()}


def _of_splits(parts: dict[str, Part], rows: dict[str, str], role: str) -> dict[str, str]:
    """Return the array of a role for each split: its own, or the one without a split."""
    found = _by_split(parts, role)
    named = {split: [*found.get(split, []), *found.get("", [])] for split in rows}
    return {split: several[0] for split, several in named.items() if several}


def _by_split(parts: dict[str, Part], role: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, part in parts.items():
        if part.role == role:
            found.setdefault(part.split, []).append(name)
    return found
