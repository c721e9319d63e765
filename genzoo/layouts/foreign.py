"""Foreign layouts: repositories of other libraries that hold models of the zoo.

A format is registered under its marker, the file by which a repository of that layout is known,
such as ``model_index.json``. It says what the files mean; the core fetches, bounds, checks and
reads them, as it does our own: configs strictly, weights from safetensors alone.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.errors import ConfigFileError
from genzoo.files import check_inside, read_text
from genzoo.foreign_fields import loading
from genzoo.parsing import strict_json

MAX_BYTES, MAX_TEXT_BYTES = 2**20, 2**22
"""How large a JSON file, and a file that is read as a text, may be."""
_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_INSIDE = re.compile(rf"(?:{_PART}/)?{_PART}")


@dataclass(frozen=True, kw_only=True)
class TranslatedModel:
    """What a foreign repository holds, in the zoo's terms.

    Arguments:
        model: The registered name of the model.
        config: The fields of its config.
        weights: Each file of weights, by its path in the repository, with what stands before its
            tensors' names in the model.
    """

    model: str
    config: Mapping[str, Any]
    weights: Mapping[str, str]


class ForeignFormat(abc.ABC):
    """A layout of another library; abstract."""

    @abc.abstractmethod
    def configs(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the paths of the JSON files that are needed beside the marker.

        Arguments:
            marker: What the marker file holds.

        Raises:
            ConfigFileError: It is of a kind that is not supported; the message names it.
        """

    def texts(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the paths of files that are read as they are, where they are there.

        They may be larger than JSON files, because nothing is made of them here: what a layout
        parses of them it bounds first.

        Arguments:
            marker: What the marker file holds.
        """
        return ()

    @abc.abstractmethod
    def translate(self, found: Mapping[str, Any]) -> TranslatedModel:
        """Return what the repository holds.

        Arguments:
            found: What each JSON file holds, the marker under its own name, as an object; and of
                `texts` those that are there, as str.

        Raises:
            ConfigFileError: It is of a kind that is not supported; the message names it.
        """


def marker_in(files: Container[str], own: str) -> str | None:
    """Return the marker of the foreign layout of some files; None where there is none.

    Arguments:
        files: The names of the files.
        own: The file of our own layout, which outranks every marker.
    """
    if own in files:
        return None
    return next((name for name in registry.names("formats") if name in files), None)


def read_foreign(
    marker: str, file: Callable[[str, int], Path], there: Callable[[str], bool]
) -> TranslatedModel:
    """Read what a foreign repository holds.

    Arguments:
        marker: Its marker.
        file: Returns a file by its path in the repository, fetched if need be, given the most
            bytes that it may have.
        there: Whether there is a file of that path.

    Raises:
        LoadError: A file is missing or malformed, or of a kind that is not supported.
    """
    layout: ForeignFormat = registry.load("formats", marker)()
    head = _read_json(file(marker, MAX_BYTES))
    found: dict[str, Any] = {marker: head}
    with loading(f"The layout of {marker}"):  # A plugin's word on values that a stranger chose.
        for name in layout.configs(head):
            found[name] = _read_json(file(check_path(name), MAX_BYTES))
        for name in filter(there, map(check_path, layout.texts(head))):
            found[name] = _read(file(name, MAX_TEXT_BYTES), MAX_TEXT_BYTES)
        foreign = layout.translate(found)
    for name in foreign.weights:
        check_path(name)
    return foreign


def local_file(folder: Path) -> Callable[[str, int], Path]:
    """Return what gives a folder's files by their paths in it, none of them out of it."""

    def file(name: str, most: int) -> Path:
        path = check_path_inside(name, folder)
        if not path.is_file():
            raise ConfigFileError(f"{str(folder)!r} holds no {name}. Fetch or save it again.")
        return path

    return file


def check_path(name: str) -> str:
    """Return a path in a repository, of one folder at most, having looked at it.

    Raises:
        ConfigFileError: It could lead elsewhere.
    """
    if not (isinstance(name, str) and len(name) < 200 and _INSIDE.fullmatch(name)):
        raise ConfigFileError(f"{name!r} is no plain path in a repository, so it is not read.")
    return name


def check_path_inside(name: str, folder: Path) -> Path:
    """Return a path in a folder, having looked whether it, or a folder on it, is a link.

    Raises:
        LoadError: It leads out of the folder.
    """
    path = folder / name
    for part in (path.parent, path):
        if part != folder:
            check_inside(part, folder)
    return path


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = strict_json(_read(path, MAX_BYTES))
    except ValueError as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, Mapping):
        raise ConfigFileError(f"{path} must hold an object, got a {type(found).__name__}.")
    return found


def _read(path: Path, most: int) -> str:
    try:
        return read_text(path, most)
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
