"""The model of a command: a folder, or a Hub repository that is resolved once."""

from __future__ import annotations

import functools
from functools import cached_property
from pathlib import Path

from genzoo.card import read_figures
from genzoo.cli.texts import command_line
from genzoo.errors import ConfigError
from genzoo.hub.fetching import Snapshot
from genzoo.hub.reference import MAIN, Reference, local_folder, names_repository
from genzoo.hub.source import SnapshotSource
from genzoo.model_files import RECIPE
from genzoo.pretrained import GenerativeModel, GenModel
from genzoo.pretrained.loading import check_device, fill
from genzoo.pretrained.pulling import fetch_all
from genzoo.storage import OpenModel, open_model


class Repository:
    """A repository of one command: all files from the commit of the first request.

    Arguments:
        source: ``user/name``.
        revision: Its branch, tag or commit; None means "main".
    """

    def __init__(self, source: str, revision: str | None) -> None:
        self.snapshot = Snapshot(Reference(source, revision or MAIN))

    @cached_property
    def opened(self) -> OpenModel:
        """The model, its config read."""
        with self.snapshot:
            return open_model(SnapshotSource(self.snapshot))

    @cached_property
    def folder(self) -> Path:
        """The folder of the cache, with the weights, the card, the recipe and the figures."""
        with self.snapshot:
            fetch_all(self.snapshot, self.opened)
        return self.snapshot.folder


repository_of = functools.cache(Repository)


def model_of(source: str, revision: str | None, device: str) -> GenerativeModel:
    """Load the model of a command."""
    if not names_repository(source):
        return GenModel.from_pretrained(source, revision=revision, device=device)
    found, repository = check_device(device), repository_of(source, revision)
    with repository.snapshot:
        return fill(repository.opened, found)


def folder_of(source: str, revision: str | None) -> Path:
    """Return the folder of a model, with its card, recipe and figures."""
    if names_repository(source):
        return repository_of(source, revision).folder
    return local_folder(source, revision=revision)


def recipe_of(source: str, revision: str | None) -> Path | None:
    """Return the recipe of a model, or None; from a repository only the recipe is fetched."""
    if not names_repository(source):
        path = local_folder(source, revision=revision) / RECIPE.name
        return path if path.is_file() else None
    with repository_of(source, revision).snapshot as snapshot:
        there = RECIPE.name in snapshot.files
        return snapshot.file(RECIPE.name, most=RECIPE.max_bytes) if there else None


def unpublished_figures(folder: Path) -> str:
    """Return how to publish stored figures if the card shows none; else an empty text."""
    stored = any(folder.glob("evaluation-*.json"))
    if not stored or read_figures(folder):
        return ""
    command = command_line("genzoo", "evaluate", folder, "--card")
    return (
        f"The card shows no figures; those that are stored stay here. To publish some: {command}"
    )


def own_folder(source: str, what: str) -> Path:
    """Return a local folder, for a command that writes into it.

    Raises:
        ConfigError: It is the name of a repository.
    """
    if names_repository(source):
        raise ConfigError(
            f"{what}, and {source!r} is a repository, not a local folder. Fetch it "
            f"first: {command_line('genzoo', 'pull', source, 'FOLDER')}"
        )
    return Path(source)
