"""What the values of a flag are, for the help and for the completion of a shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ValueKind:
    """What the values of a flag are, as an annotation.

    Arguments:
        words: Their kind in words, such as ``folder``.
        group: The group of the registry whose names they can be.
        paths: Whether they can be paths, and of what; "" if they cannot.
    """

    words: str
    group: str = ""
    paths: Literal["", "files", "folders"] = ""


FOLDER = ValueKind("folder", paths="folders")
FILE = ValueKind("file", paths="files")
MODEL = ValueKind("folder or user/name", paths="folders")
DATA = ValueKind("dataset, path or user/name", group="datasets", paths="files")


def name_of(group: str) -> ValueKind:
    """Return the kind of values that are names of a group."""
    return ValueKind("name", group=group)
