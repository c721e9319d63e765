"""The image files in a folder and its subfolders."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from genzoo.data.images.decoding import ENDINGS
from genzoo.data.natural_order import natural_key
from genzoo.errors import DataError

_SYSTEM = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "__pycache__", "@eadir"),
    *("$recycle.bin", "system volume information", "lost+found"),
)
"""Entries that systems and programs write, in small letters."""


class Tree:
    """The images below a folder, in natural order, and what was left out.

    Links to folders are followed; each folder is read once, so a loop of links ends.

    Arguments:
        root: The folder.

    Attributes:
        paths: The files.

    Raises:
        DataError: A folder cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root, found = root, list[Path]()
        self._hidden: Counter[str] = Counter()
        self._other: Counter[str] = Counter()
        self._num_repeated = 0
        self._read = set[tuple[int, int]]()
        later = [root]
        while later:  # Links come after folders, so that a folder keeps its own place.
            links = list[Path]()
            for folder in later:
                found += self._images(folder, links)
            later = sorted(links, key=self._key)
        self.paths = sorted(found, key=self._key)

    def folders(self) -> set[str]:
        """Return the first folder on the way to each image; "" for an image in the root."""
        parts = (path.relative_to(self.root).parts for path in self.paths)
        return {part[0] if len(part) > 1 else "" for part in parts}

    def notes(self) -> tuple[str, ...]:
        """Return what was left out."""
        found = []
        if self._hidden:
            num, names = self._hidden.total(), _some(self._hidden)
            found.append(
                f"{_counted(num, 'hidden or system entr', 'y', 'ies')} left out ({names})."
            )
        if self._other:
            num, names = self._other.total(), _some(self._other)
            found.append(f"{_counted(num, 'file')} left out, because of the ending ({names}).")
        if self._num_repeated:
            what = _counted(self._num_repeated, "link")
            found.append(f"{what} left out, to folders that are read already.")
        return tuple(found)

    def _images(self, top: Path, links: list[Path]) -> Iterator[Path]:
        """Yield the images below a folder, without those behind links to folders."""
        folders = [top]
        while folders:
            folder = folders.pop()
            if self._is_read(folder):
                continue
            for entry in entries(folder):
                if is_hidden(entry.name):
                    self._hidden[entry.name] += 1
                elif is_folder(entry):
                    (links if entry.is_symlink() else folders).append(Path(entry.path))
                elif is_image(entry.name):
                    yield Path(entry.path)
                else:
                    self._other[_ending(entry.name) or "no ending"] += 1

    def _is_read(self, folder: Path) -> bool:
        """Whether a folder has been read; from now on it has."""
        try:
            status = folder.stat()
        except OSError as error:
            raise _unreadable(folder, error) from error
        identity = status.st_dev, status.st_ino
        if identity in self._read:
            self._num_repeated += 1
            return True
        self._read.add(identity)
        return False

    def _key(self, path: Path) -> list[tuple[tuple[str, ...], str]]:
        return [natural_key(part) for part in path.relative_to(self.root).parts]


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise _unreadable(folder, error) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one.

    Raises:
        DataError: That cannot be found out.
    """
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # A link to itself.
            return False
        raise _unreadable(entry.path, error) from error


def is_hidden(name: str) -> bool:
    """Whether an entry is hidden, or written by a system and not by a person."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def is_image(name: str) -> bool:
    """Whether a file has the ending of an image."""
    return _ending(name) in ENDINGS


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _unreadable(path: object, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.")


def _some(names: Counter[str]) -> str:
    """Return the most frequent names."""
    first = [name for name, _ in names.most_common(3)]
    return ", ".join([*first, "…"] if len(names) > len(first) else first)


def _counted(num: int, noun: str, one: str = "", more: str = "s") -> str:
    return f"{num} {noun}{one} is" if num == 1 else f"{num} {noun}{more} are"
