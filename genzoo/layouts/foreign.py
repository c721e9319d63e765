"""Foreign layouts: repositories of other libraries with models of the zoo.

A format is registered under its marker, the file that identifies the layout, such as
``model_index.json``. It defines the meaning of the files; the core fetches, bounds, checks and
reads them like its own: configs strictly, weights from safetensors only.
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
from genzoo.foreign_fields import MAX_BYTES, loading, read_object

MAX_TEXT_BYTES = 2**22
"""The maximum size of a file that is read as text."""
_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
_INSIDE = re.compile(rf"(?:{_PART}/)?{_PART}")


@dataclass(frozen=True, kw_only=True)
class TranslatedModel:
    """The content of a foreign repository, in terms of the zoo.

    Arguments:
        model: The registered name of the model.
        config: The fields of its config.
        weights: Each weight file by its path in the repository, with the prefix of its tensors'
            names in the model.
    """

    model: str
    config: Mapping[str, Any]
    weights: Mapping[str, str]


class ForeignFormat(abc.ABC):
    """Abstract base class of layouts of other libraries."""

    @abc.abstractmethod
    def configs(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the paths of the JSON files that are needed in addition to the marker.

        Arguments:
            marker: The content of the marker file.

        Raises:
            ConfigFileError: Its kind is not supported; the message names it.
        """

    def texts(self, marker: Mapping[str, Any]) -> Sequence[str]:
        """Return the paths of files that are read as text, if they exist.

        They may be larger than JSON files, because they are not parsed here: a layout must bound
        what it parses.

        Arguments:
            marker: The content of the marker file.
        """
        return ()

    @abc.abstractmethod
    def translate(self, found: Mapping[str, Any]) -> TranslatedModel:
        """Return the content of the repository.

        Arguments:
            found: The content of each JSON file as an object, including the marker under its name,
                and the existing files of `texts` as str.

        Raises:
            ConfigFileError: Its kind is not supported; the message names it.
        """


def marker_in(files: Container[str], own: str) -> str | None:
    """Return the marker of the foreign layout of some files, or None.

    Arguments:
        files: The names of the files.
        own: The file of genzoo's own layout, which outranks every marker.
    """
    if own in files:
        return None
    return next((name for name in registry.names("formats") if name in files), None)


def read_foreign(
    marker: str, file: Callable[[str, int], Path], there: Callable[[str], bool]
) -> TranslatedModel:
    """Read a foreign repository.

    Arguments:
        marker: Its marker.
        file: Returns a file by its path in the repository and its maximum size, fetched if
            necessary.
        there: Whether a path exists.

    Raises:
        LoadError: A file is missing or malformed, or its kind is not supported.
    """
    layout: ForeignFormat = registry.load("formats", marker)()
    head = read_object(file(marker, MAX_BYTES))
    found: dict[str, Any] = {marker: head}
    with loading(f"The layout of {marker}"):  # The result of a plugin for untrusted values.
        for name in layout.configs(head):
            found[name] = read_object(file(check_path(name), MAX_BYTES))
        for name in filter(there, map(check_path, layout.texts(head))):
            found[name] = _read(file(name, MAX_TEXT_BYTES))
        foreign = layout.translate(found)
    for name in foreign.weights:
        check_path(name)
    return foreign


def check_path(name: str) -> str:
    """Check and return a path in a repository, with at most one folder.

    Raises:
        ConfigFileError: It could lead elsewhere.
    """
    if not (isinstance(name, str) and len(name) < 200 and _INSIDE.fullmatch(name)):
        raise ConfigFileError(f"{name!r} is not a plain path in a repository, so it is not read.")
    return name


def check_path_inside(name: str, folder: Path) -> Path:
    """Return a path in a folder, after checking links on the way.

    Raises:
        LoadError: It leads out of the folder.
    """
    path = folder / name
    for part in (path.parent, path):
        if part != folder:
            check_inside(part, folder)
    return path


def _read(path: Path) -> str:
    try:
        return read_text(path, MAX_TEXT_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigFileError(f"{path} cannot be read: {error}") from error
