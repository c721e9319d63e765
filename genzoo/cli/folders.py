"""Where a command finds its model: a folder, or a repository of the Hub, fetched once."""

from __future__ import annotations

import functools
from pathlib import Path

from genzoo.errors import ConfigError
from genzoo.hub import local_folder, names_repository
from genzoo.hub.pulling import fetch_whole
from genzoo.hub.reference import MAIN, Reference


@functools.cache
def folder_of(source: str, revision: str | None) -> Path:
    """Return the folder of a model with its card, recipe and figures.

    A repository is asked for once in a command: all its files are of one commit.
    """
    if names_repository(source):
        return fetch_whole(Reference(source, revision or MAIN))
    return local_folder(source, revision=revision)


def own_folder(source: str, what: str) -> Path:
    """Return a folder of this machine, for a command that writes into it.

    Raises:
        ConfigError: It is a repository's name.
    """
    if names_repository(source):
        raise ConfigError(
            f"{what}, and {source!r} is a repository, not a folder of this machine. Fetch it "
            f"first: genzoo pull {source} FOLDER."
        )
    return Path(source)
