"""References to models on a Hub: repository, revision and subfolder, checked for safety."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import ConfigError

MAIN = "main"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAX_LENGTH = 200


@dataclass(frozen=True)
class Reference:
    """A model on a Hub.

    Arguments:
        repository: ``user/name``.
        revision: A branch, a tag, a pull request's ref, or a commit.
        subfolder: The subfolder of the model; empty for the root of the repository.

    Raises:
        ConfigError: One of them is malformed.
    """

    repository: str
    revision: str = MAIN
    subfolder: str = ""

    def __post_init__(self) -> None:
        if not is_repository(self.repository):
            raise ConfigError(f"{_shown(self.repository)} is not a repository: give user/name.")
        if not _plain(_REVISION, self.revision):
            raise ConfigError(
                f"{_shown(self.revision)} is not a revision: give a branch, a tag or a commit."
            )
        if self.subfolder and not _plain(_FOLDER, self.subfolder):
            raise ConfigError(
                f"{_shown(self.subfolder)} is not a folder of a repository: give plain names "
                "with / between them."
            )

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a full commit, which never changes."""
        return bool(_COMMIT.fullmatch(self.revision))

    def inside(self, name: str) -> str:
        """Return the path in the repository of a file of the model."""
        return f"{self.subfolder}/{name}" if self.subfolder else name

    def __str__(self) -> str:
        place = self.inside("").rstrip("/")
        at = "" if self.revision == MAIN else f"@{self.revision}"
        return f"{self.repository}{'/' * bool(place)}{place}{at}"


def is_repository(text: str) -> bool:
    """Whether a text has the form of a repository's name, ``user/name``.

    >>> is_repository("ada/vae-digits"), is_repository("runs/../x"), is_repository("a/b/c")
    (True, False, False)
    """
    if len(text) > _MAX_LENGTH or not _REPOSITORY.fullmatch(text):
        return False
    return ".." not in text and "--" not in text and not text.endswith(".git")


def names_repository(source: str | os.PathLike[str]) -> bool:
    """Whether ``source`` is a Hub repository: it has the form of one and is not a local folder."""
    return isinstance(source, str) and is_repository(source) and not Path(source).exists()


def local_folder(
    source: str | os.PathLike[str], revision: str | None = None, subfolder: str | None = None
) -> Path:
    """Return the local folder that ``source`` names, or a subfolder.

    Raises:
        ConfigError: A revision is given for a local folder, or ``subfolder`` is malformed.
    """
    if revision is not None:
        raise ConfigError(
            f"{str(source)!r} is a local folder, or not a repository (user/name): only "
            f"repositories have a revision such as {revision!r}."
        )
    # Checked like that of a repository, although here it only names a folder.
    inside = Reference("any/any", subfolder=subfolder or "").subfolder
    return Path(source, *filter(None, inside.split("/")))


def is_commit(text: object) -> bool:
    """Whether a text is a full commit."""
    return isinstance(text, str) and bool(_COMMIT.fullmatch(text))


def _plain(pattern: re.Pattern[str], text: object) -> bool:
    if not isinstance(text, str) or len(text) > _MAX_LENGTH or not pattern.fullmatch(text):
        return False
    ends = (".", ".lock")
    return ".." not in text and not any(part.endswith(ends) for part in text.split("/"))


def _shown(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) < _MAX_LENGTH else f"{shown[:60]}…"
