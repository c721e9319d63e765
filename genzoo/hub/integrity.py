"""Comparison of cached files with the Hub's checksums.

The client compares sizes only: a byte that was changed in transit, or later on the disk, is not
noticed and stays in the cache forever. So each file is compared with its checksum once. The result
is recorded with its size, time and inode, and the file is not read again while these are
unchanged.
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import asdict, dataclass, field
from pathlib import Path

from genzoo.errors import GenzooError
from genzoo.files import read_text, replace_text
from genzoo.hub.file_metadata import Commit, Stated
from genzoo.parsing import strict_json

_FOLDER = "genzoo"
_MAX_BYTES = 2**24

log = logging.getLogger(__name__)


@dataclass
class Record:
    """The record of one commit: the metadata of its files, and which were checked.

    Arguments:
        path: The file of the record, in the repository's folder of the cache; None keeps it in
            memory.
        commit: The commit.
        checked: Size, time in ns and inode of each file that was checked.
        is_written: Whether the record is on the disk.
    """

    path: Path | None
    commit: Commit
    checked: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    is_written: bool = False

    @classmethod
    def of(cls, storage: Path, commit: Commit) -> Record:
        """Return the record of a commit from new metadata of the Hub."""
        known = cls.read(storage, commit.sha)
        if known is not None and known.commit == commit:
            return known
        return cls(_path(storage, commit.sha), commit, known.checked if known else {})

    @classmethod
    def read(cls, storage: Path, sha: str) -> Record | None:
        """Return the record of a commit, or None if there is none that can be read."""
        path = _path(storage, sha)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            values = strict_json(read_text(path, _MAX_BYTES))
            stored = values["commit"]["files"].items()
            files = {name: Stated(**file) for name, file in stored}
            commit = Commit(values["commit"]["sha"], files)
            checked = {n: (int(a), int(b), int(c)) for n, (a, b, c) in values["checked"].items()}
            return cls(path, commit, checked, is_written=True) if commit.sha == sha else None
        return None

    def holds(self, name: str, path: Path, stated: Stated, *, in_full: bool) -> bool:
        """Whether a file has the stated checksum; a file known to be unchanged is not read."""
        try:
            stat = path.stat()  # That of the file itself, behind all links.
        except OSError:
            return False
        mark = stat.st_size, stat.st_mtime_ns, stat.st_ino
        if not in_full and mark[0] == stated.size and self.checked.get(name) == mark:
            return True
        self.is_written = False
        self.checked.pop(name, None)
        if not stated.holds_for(path):
            return False
        self.checked[name] = mark
        return True

    def write(self) -> None:
        """Write the record; if the cache is read-only, files are read in full each time."""
        if self.path is None or self.is_written:
            return
        values = {"commit": asdict(self.commit), "checked": self.checked}
        try:
            replace_text(self.path, json.dumps(values))
        except GenzooError as error:
            log.info("%s So files are checked in full at each load.", error)


def _path(storage: Path, sha: str) -> Path:
    return storage / _FOLDER / f"{sha}.json"
