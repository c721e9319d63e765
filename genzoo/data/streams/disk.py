"""Files of shards: local ones, and remote ones in a cache on a disk with a budget."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from genzoo.data.libraries import library
from genzoo.errors import DataError, GenzooError
from genzoo.files import disk_full_named, own_folder

T = TypeVar("T")
DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try."""
_FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
logger = logging.getLogger("genzoo")


def is_remote(location: str) -> bool:
    """Whether a location is a URL."""
    return "://" in location and not location.startswith(("file://", "local://"))


def plain_path(location: str) -> Path:
    """Return the path of a local location."""
    return Path(location.removeprefix("file://").removeprefix("local://"))


def patiently(what: str, call: Callable[[], T]) -> T:
    """Return the result of a request, with retries; each is logged with its reason.

    Raises:
        DataError: All tries failed.
        FileNotFoundError: There is no such file.
    """
    for number, delay in enumerate((*DELAYS, None), start=1):
        try:
            return call()
        except (*_FINAL, GenzooError):
            raise
        # The clients of stores raise errors of many libraries, which are not imported here.
        except Exception as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            if delay is None:
                raise DataError(
                    f"{what} cannot be read: {reason}. That was try {number}; check the "
                    "connection. A run can be resumed."
                ) from error
            logger.warning("%s: %s. Trying again in %g s.", what, reason, delay)
            time.sleep(delay)
    raise DataError(f"{what}: no answer.")  # pragma: no cover, the last try raises


@dataclass(frozen=True)
class State:
    """What tells a file from another one at its place.

    Arguments:
        size: Its bytes.
        stamp: The time of its last change, or what a store says of its version.
    """

    size: int
    stamp: str


@dataclass(frozen=True)
class Files:
    """Reads files of shards.

    Arguments:
        folder: The folder of the cache.
        budget: The most bytes of remote shards in it.
    """

    folder: Path
    budget: int

    def state(self, location: str) -> State:
        """Return the state of a file.

        Raises:
            FileNotFoundError: There is none.
        """
        if not is_remote(location):
            found = plain_path(location).stat()
            return State(found.st_size, str(found.st_mtime_ns))

        def ask() -> State:
            fs, path = file_system(location)
            facts = fs.info(path)
            keys = ("ETag", "etag", "mtime", "LastModified", "last_modified", "blob_id")
            stamp = next((str(facts[key]) for key in keys if facts.get(key)), "")
            return State(int(facts.get("size") or 0), stamp)

        return patiently(location, ask)

    def opened(self, location: str) -> Any:
        """Return an open file from which parts can be read."""
        if not is_remote(location):
            return plain_path(location).open("rb")
        fs, path = file_system(location)
        return fs.open(path, "rb", block_size=2**18)

    def content(self, location: str, most: int) -> bytes:
        """Return the content of a small file.

        Raises:
            FileNotFoundError: There is none.
            DataError: It has more than ``most`` bytes.
        """

        def read() -> bytes:
            with self.opened(location) as file:
                found: bytes = file.read(most + 1)
            return found

        content = patiently(location, read) if is_remote(location) else read()
        if len(content) > most:
            raise DataError(f"{location!r} has more than {most:,} bytes; it is not read.")
        return content

    def local(self, location: str, state: State) -> Path:
        """Return the path of a file; a remote one is fetched unless it is in the cache.

        Raises:
            DataError: It cannot be fetched, or has changed on the way.
        """
        if not is_remote(location):
            return plain_path(location)
        path = self._place(location, state)
        if path.exists():
            with contextlib.suppress(OSError):
                os.utime(path)  # The files that are used last are kept.
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        patiently(location, lambda: _fetch(location, state, path))
        self._evict(path)
        return path

    def notes(self, location: str, state: State) -> Path:
        """Return the path where facts about a file are kept, so that it is counted once."""
        return self._place(location, state).with_suffix(".json")

    def _place(self, location: str, state: State) -> Path:
        kind, _, place = location.partition("://")  # One file may be listed in several ways.
        key = f"{kind}://{place.lstrip('/')}\n{state.size}\n{state.stamp}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self.folder / f"{digest}{Path(location.partition('?')[0]).suffix.lower()}"

    def _evict(self, newest: Path) -> None:
        """Remove the files that were not used for the longest time, to keep the budget."""
        found = []
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix != ".json" and path.is_file():
                    facts = path.stat()
                    found.append((facts.st_mtime, facts.st_size, path))
        size = sum(one for _, one, _ in found)
        for _, one, path in sorted(found):
            if size <= self.budget:
                return
            if path != newest:
                # Another process may have removed it, or opens it again and then fetches it.
                with contextlib.suppress(OSError):
                    path.unlink()
                size -= one


def file_system(location: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a URL, and the path in it.

    Raises:
        DataError: The package for such URLs is not installed.
    """
    core = library("fsspec.core", "Shards at URLs")
    try:
        fs, path = core.url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise DataError(
            f"{location!r} cannot be opened: {str(error).rstrip('.')}. Install the package that "
            "fsspec needs for such URLs."
        ) from error
    return fs, str(path)


def _fetch(location: str, state: State, path: Path) -> None:
    fs, inner = file_system(location)
    with own_folder(path.parent) as folder:
        written = folder / path.name
        try:
            fs.get_file(inner, str(written))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise  # Another try may help.
            with disk_full_named(path):
                raise
        size = written.stat().st_size
        if state.size and size != state.size:
            raise OSError(f"it was cut: {size} of {state.size} bytes arrived")
        os.replace(written, path)
