"""The model of a command: a folder, or a Hub repository that is resolved once."""

from __future__ import annotations

import functools
from pathlib import Path

from genzoo.errors import ConfigError
from genzoo.hub.fetching import Snapshot
from genzoo.hub.reference import MAIN, Reference, local_folder, names_repository
from genzoo.model_files import RECIPE
from genzoo.pretrained.pulling import fetch_all


@functools.cache
def folder_of(source: str, revision: str | None) -> Path:
    """Return the folder of a model, with its card, recipe and figures.

    All files of a repository come from one commit.
    """
    if names_repository(source):
        with snapshot_of(source, revision) as snapshot:
            return fetch_all(snapshot).source.folder
    return local_folder(source, revision=revision)


def recipe_of(source: str, revision: str | None) -> Path | None:
    """Return the recipe of a model, or None; from a repository only the recipe is fetched."""
    if not names_repository(source):
        path = local_folder(source, revision=revision) / RECIPE.name
        return path if path.is_file() else None
    with snapshot_of(source, revision) as snapshot:
        there = RECIPE.name in snapshot.files
        return snapshot.file(RECIPE.name, most=RECIPE.max_bytes) if there else None


@functools.cache
def snapshot_of(source: str, revision: str | None) -> Snapshot:
    """Return the files of a repository, all from the commit of the first request."""
    return Snapshot(Reference(source, revision or MAIN))


def own_folder(source: str, what: str) -> Path:
    """Return a local folder, for a command that writes into it.

    Raises:
        ConfigError: It is the name of a repository.
    """
    if names_repository(source):
        raise ConfigError(
            f"{what}, and {source!r} is a repository, not a local folder. Fetch it "
            f"first: genzoo pull {source} FOLDER."
        )
    return Path(source)
