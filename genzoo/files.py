"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
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
    """Return the text of a file of at most so many bytes, whatever ends its lines.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no plain file, such as a pipe, or too large, or no UTF-8.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise ValueError(f"it is larger than {most} bytes")
    return found.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file that does not exist yet: nothing that has its name is written into."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, which takes its place if all goes well.

    It is in a folder of its own, which is made for this once, under a name that cannot be
    foreseen: nothing can lie there already. A link in the place of ``path`` is replaced, and what
    it leads to stays as it is.

    Raises:
        DiskFullError: There is no space left; ``path`` is as it was.
    """
    with disk_full_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(path.parent) as folder:
            yield folder / path.name
            fsync(folder / path.name)
            os.replace(folder / path.name, path)
            fsync(path.parent)


@contextlib.contextmanager
def own_folder(parent: Path, *, prefix: str = ".writing-", suffix: str = "") -> Iterator[Path]:
    """Give a new folder in another one, which goes away with what is left in it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_end(path: Path) -> IO[str]:
    """Open a text file, or a new one, to write at its end: no link is followed, no pipe opened.

    Raises:
        OSError: It is a link, or no plain file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return file


def remove(path: Path) -> None:
    """Remove what has a name: a file, a folder with all in it, a link but not where it leads."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_no_link(path: Path) -> None:
    """Refuse a link in the place of what is written into, or cleared.

    Raises:
        LoadError: It is one.
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
    """Give a temporary folder whose files are moved into ``folder`` if all goes well.

    Nothing is moved before everything is on the disk. Where several files beside ``last`` belong
    together, or stale ones go, ``last`` is taken away first: whoever looks in between finds
    nothing, not a mixture.

    Arguments:
        folder: Where the files go; made where it does not exist.
        last: The file that is moved last: what says that the others are there.
        stale: A regular expression; files of an earlier update whose names it matches, and that
            are not replaced, go away.
        markers: Files that are taken away right after ``last``, and moved right before it: by
            which another library knows the folder.
        old: Paths of further files of an earlier update, which go away likewise.

    Raises:
        DiskFullError: There is no space left; ``folder`` is as it was.
        LoadError: A folder in it, into which files would go, is a link.
    """
    with disk_full_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with own_folder(folder) as temporary:
            yield temporary
            final = [*markers, last]
            paths = sorted(_files_in(temporary), key=lambda path: (path in final, path == last))
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


def _files_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, in order."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _make_folders(folder: Path, new: Iterable[str], gone: Iterable[str]) -> list[Path]:
    """Make the folders that files go into; return them, and those that files go away from."""
    made = sorted({(folder / path).parent for path in new} - {folder})
    left = sorted({(folder / path).parent for path in gone} - {folder, *made})
    for inner in (*made, *left):
        check_no_link(inner)
    for inner in made:
        inner.mkdir(exist_ok=True)
    return [inner for inner in (*made, *left) if inner.is_dir()]


def _settle(folder: Path, inner: Iterable[Path]) -> None:
    """Bring the lists of files onto the disk; folders that are left empty go away."""
    for path in inner:
        if any(path.iterdir()):
            fsync(path)
        else:
            path.rmdir()
    fsync(folder)


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
