"""Files of the cache held against what the Hub states of them.

The client compares sizes only: a byte that was flipped on the way, or later on the disk, passes it
and stays in the cache for ever. So each file is read in full once, against its checksum; that it
was is written down with its size, its time and its inode, and as long as they stay, it is not read
again.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.errors import GenzooError
from genzoo.files import atomic_file, read_text, write_text
from genzoo.hub.file_metadata import Commit, Stated
from genzoo.parsing import strict_json

_FOLDER = "genzoo"
_MAX_BYTES = 2**24
_Mark = tuple[int, int, int]

log = logging.getLogger(__name__)


@dataclass
class Record:
    """What is known here of one commit: its files as the Hub states them, and which were checked.

    Arguments:
        path: The record's file, in the repository's own folder of the cache; None keeps it in
            memory.
        commit: The commit.
        checked: For each file that was found to be the stated one: size, time in ns, inode.
        is_written: Whether all of this is on the disk.
    """

    path: Path | None
    commit: Commit
    checked: dict[str, _Mark] = field(default_factory=dict)
    is_written: bool = False

    @classmethod
    def of(cls, storage: Path, commit: Commit) -> Record:
        """Return the record of a commit whose files the Hub has just stated."""
        known = cls.read(storage, commit.sha)
        if known is not None and known.commit == commit:
            return known
        return cls(_path(storage, commit.sha), commit, known.checked if known else {})

    @classmethod
    def read(cls, storage: Path, sha: str) -> Record | None:
        """Return the record of a commit; None where there is none that can be read."""
        path = _path(storage, sha)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            values = strict_json(read_text(path, _MAX_BYTES))
            commit = Commit.from_dict(values["commit"])
            checked = {name: _mark_of(mark) for name, mark in values["checked"].items()}
            return cls(path, commit, checked, is_written=True) if commit.sha == sha else None
        return None

    def holds(self, name: str, path: Path, stated: Stated, *, in_full: bool) -> bool:
        """Whether a file is the stated one; read in full where it is not known to be unchanged."""
        try:
            mark = _mark(path)
        except OSError:
            return False
        if not in_full and mark[0] == stated.size and self.checked.get(name) == mark:
            return True
        self.is_written = False
        self.checked.pop(name, None)
        if not stated.holds_for(path):
            return False
        self.checked[name] = mark
        return True

    def write(self) -> None:
        """Write it down; where the cache cannot be written, files are read in full each time."""
        if self.path is None or self.is_written:
            return
        values: Mapping[str, Any] = {"commit": self.commit.to_dict(), "checked": self.checked}
        try:
            with atomic_file(self.path) as temporary:
                write_text(temporary, json.dumps(values))
        except GenzooError as error:
            log.info("%s So files are checked in full at each load.", error)


def _path(storage: Path, sha: str) -> Path:
    return storage / _FOLDER / f"{sha}.json"


def _mark(path: Path) -> _Mark:
    """Return what changes when a file is written: of the file itself, behind all links."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _mark_of(values: Any) -> _Mark:
    size, time, inode = values
    return int(size), int(time), int(inode)
