"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from safetensors import SafetensorError

from genzoo.errors import DiskFullError, GenzooError, LoadError

_XET_HASH = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_text(path: Path, most: int) -> str:
    """Return the text of a file of at most ``most`` bytes, with any line endings.

    Raises:
        OSError, ValueError: As `read_bytes`; or it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file of at most ``most`` bytes.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a plain file (such as a pipe), or is too large.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with path.open("rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return found


def write_text(path: Path, text: str) -> None:
    """Write a new text file; an existing file is never written into."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Provide a temporary path next to ``path``, which replaces it on success.

    It is in a folder of its own, which is made for this once, under a name that cannot be
    foreseen: nothing can lie there already. A link in the place of ``path`` is replaced, and what
    it leads to stays as it is.

    Raises:
        DiskFullError: No space is left; ``path`` is unchanged.
    """
    with disk_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(path.parent) as folder:
            yield folder / path.name
            fsync(folder / path.name)
            os.replace(folder / path.name, path)
            fsync(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write a text file completely or not at all; an existing one is replaced.

    Raises:
        DiskFullError: No space is left; ``path`` is unchanged.
    """
    with atomic_file(path) as temporary:
        write_text(temporary, text)


@contextlib.contextmanager
def own_folder(parent: Path, *, prefix: str = ".writing-", suffix: str = "") -> Iterator[Path]:
    """Provide a new folder inside another one; it is removed with its content afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_end(path: Path) -> IO[str]:
    """Open or create a text file to append to it; no link is followed and no pipe opened.

    Raises:
        OSError: It is a link, or not a plain file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    return file


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link (not its target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_no_link(path: Path) -> None:
    """Refuse to write into or clear a path that is a link.

    Raises:
        LoadError: It is a link.
    """
    if path.is_symlink():
        raise LoadError(
            f"{path} is a link, to {os.readlink(path)}: nothing is written or removed through it. "
            "Put the folder or file itself there, or choose another output."
        )


@contextlib.contextmanager
def atomic_folder_update(
    folder: Path,
    *,
    last: str,
    stale: str = "",
    markers: Iterable[str] = (),
    old: Iterable[str] = (),
) -> Iterator[Path]:
    """Provide a temporary folder whose files are moved into ``folder`` on success.

    Nothing is moved before everything is on the disk. If several files belong together with
    ``last``, or stale ones are removed, ``last`` is removed first. So a reader finds nothing in
    between, never a mixture.

    Arguments:
        folder: The destination; created if it does not exist.
        last: The file that is moved last; it marks the folder as complete.
        stale: A regular expression; files of an earlier update that it matches and that are not
            replaced are removed.
        markers: Files by which another library recognises the folder. They are removed right after
            ``last``, and moved right before it.
        old: Paths of further files of an earlier update that are removed.

    Raises:
        DiskFullError: No space is left; ``folder`` is unchanged.
        LoadError: A subfolder that files would go into is a link.
    """
    with disk_full_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with own_folder(folder) as temporary:
            yield temporary
            final = [*markers, last]
            made = (path for path in temporary.rglob("*") if path.is_file())
            names = (path.relative_to(temporary).as_posix() for path in made)
            paths = sorted(names, key=lambda path: (path in final, path == last, path))
            for path in paths:
                fsync(temporary / path)
            there = [path.name for path in folder.iterdir() if re.fullmatch(stale, path.name)]
            there += [path for path in old if (folder / path).is_file()]
            gone = sorted({*there} - {*paths}, key=lambda path: ("/" in path, path))
            inner = _make_folders(folder, paths, gone)
            if len(paths) > 2 or gone:
                for path in reversed(final):
                    (folder / path).unlink(missing_ok=True)
            for path in gone:
                (folder / path).unlink(missing_ok=True)
            for path in paths:
                os.replace(temporary / path, folder / path)
            _settle(folder, inner)


def _make_folders(folder: Path, new: Iterable[str], gone: Iterable[str]) -> list[Path]:
    """Create the folders of files; return them, and those that files are removed from."""
    made = sorted({(folder / path).parent for path in new} - {folder})
    left = sorted({(folder / path).parent for path in gone} - {folder, *made})
    for inner in (*made, *left):
        check_no_link(inner)
    for inner in made:
        inner.mkdir(exist_ok=True)
    return [inner for inner in (*made, *left) if inner.is_dir()]


def _settle(folder: Path, inner: Iterable[Path]) -> None:
    """Sync folders to the disk, and remove those that are empty."""
    for path in inner:
        if any(path.iterdir()):
            fsync(path)
        else:
            path.rmdir()
    fsync(folder)


@contextlib.contextmanager
def disk_full_named(path: Path) -> Iterator[None]:
    """Map the errors of a full or read-only disk to one error."""
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
    """Sync a file, or a folder's list of files, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a link that leaves the folder, except into ``blobs`` of a Hub cache.

    Raises:
        LoadError: It is such a link.
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
    """Whether a file is in the blobs that the snapshot of a Hub cache around ``home`` links to.

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
