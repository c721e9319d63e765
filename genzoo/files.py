"""Files written whole or not at all, and read strictly."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from genzoo.errors import DiskFullError, GenzooError, LoadError

_XET_HASH = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    path.write_text(text, "utf-8")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, which takes its place if all goes well.

    Raises:
        DiskFullError: There is no space left; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    with disk_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            fsync(temporary)
            os.replace(temporary, path)
            fsync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder_update(folder: Path, *, last: str, stale: str = "") -> Iterator[Path]:
    """Give a temporary folder whose files are moved into ``folder`` if all goes well.

    Nothing is moved before everything is on the disk. Where several files beside ``last`` belong
    together, or stale ones go, ``last`` is taken away first: whoever looks in between finds
    nothing, not a mixture.

    Arguments:
        folder: Where the files go; made where it does not exist.
        last: The file that is moved last: what says that the others are there.
        stale: A regular expression; files of an earlier update whose names it matches, and that
            are not replaced, go away.

    Raises:
        DiskFullError: There is no space left; ``folder`` is as it was.
    """
    with disk_full_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
        try:
            yield temporary
            paths = sorted(temporary.iterdir(), key=lambda path: (path.name == last, path.name))
            for path in paths:
                fsync(path)
            replaced = {path.name for path in paths}
            there = [path for path in folder.iterdir() if re.fullmatch(stale, path.name)]
            old = [path for path in there if path.name not in replaced]
            if len(paths) > 2 or old:
                (folder / last).unlink(missing_ok=True)
            for path in old:
                path.unlink()
            for path in paths:
                os.replace(path, folder / path.name)
            fsync(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def disk_full_named(path: Path) -> Iterator[None]:
    """Turn every way of saying that the disk is full, or not writable, into one error."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or any(f"(os error {full})" in str(error) for full in _FULL):
            raise DiskFullError(
                f"No space left to write {str(path)!r}. Nothing was left half-written. Free some "
                "space, or choose another folder."
            ) from error
        what = getattr(error, "strerror", None) or error
        raise GenzooError(
            f"{str(path)!r} cannot be written: {what}. Choose another place."
        ) from error


def fsync(path: Path) -> None:
    """Bring a file, or a folder's list of files, onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a link that leaves the folder, other than into a Hub cache's own ``blobs``.

    Raises:
        LoadError: It does.
    """
    if not path.is_symlink():
        return
    try:
        target, home = path.resolve(strict=True), folder.resolve()
    except (OSError, RuntimeError) as error:
        raise LoadError(f"{path} is a link that leads nowhere: refused.") from error
    if not target.is_relative_to(home) and not _is_blob(target, home):
        raise LoadError(
            f"{path} is a link out of its folder, to {target}: refused. Put the file itself there."
        )


def _is_blob(target: Path, home: Path) -> bool:
    """Whether a file is where a Hub cache keeps what the snapshot that ``home`` is in links to.

    A snapshot is CACHE/models--USER--NAME/snapshots/COMMIT. Its files are in the repository's own
    folder ``blobs``, or in CACHE/blobs, where repositories share what Xet stores, by its hash.
    """
    for commit in (home, *home.parents):
        if commit.parent.name == "snapshots":
            repository = commit.parent.parent
            shared = repository.parent / "blobs" / target.name[:2]
            own, is_hash = repository / "blobs", _XET_HASH.fullmatch(target.name)
            return target.parent == own or bool(is_hash and target.parent == shared)
    return False


def strict_json(text: str) -> Any:
    """Parse JSON, refusing duplicate keys and the numbers that JSON does not have."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a key stands twice in one object")
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
