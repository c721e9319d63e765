"""Where a command finds its model: a folder, or a repository of the Hub, asked for once."""

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
    """Return the folder of a model with its card, recipe and figures.

    Of a repository all files are of one commit.
    """
    if names_repository(source):
        with snapshot_of(source, revision) as snapshot:
            return fetch_all(snapshot).source.folder
    return local_folder(source, revision=revision)


def recipe_of(source: str, revision: str | None) -> Path | None:
    """Return the recipe of a model, of a repository fetched by itself; None where it has none."""
    if not names_repository(source):
        path = local_folder(source, revision=revision) / RECIPE.name
        return path if path.is_file() else None
    with snapshot_of(source, revision) as snapshot:
        there = RECIPE.name in snapshot.files
        return snapshot.file(RECIPE.name, most=RECIPE.max_bytes) if there else None


@functools.cache
def snapshot_of(source: str, revision: str | None) -> Snapshot:
    """Return the files of a repository, all of the commit that it was when first asked for."""
    return Snapshot(Reference(source, revision or MAIN))


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
