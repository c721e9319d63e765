"""What a model is, told by its config, its card and its weights' headers, without a weight."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.card import CARD_FILE, Figure, read_figures, read_licence
from genzoo.errors import LoadError
from genzoo.hub import local_folder, names_repository
from genzoo.hub.fetching import Snapshot
from genzoo.hub.models import described
from genzoo.hub.pulling import MAX_TEXT
from genzoo.hub.reference import MAIN, Reference
from genzoo.storage import open_folder
from genzoo.weights import WeightFiles


@dataclass(frozen=True)
class Inspected:
    """What was found.

    Arguments:
        folder: Where the config is.
        description: What it says.
        weights: The headers of the weights.
        figures: What the card states; none where there is no card, or none that can be read.
        licence: What the card states; empty where it states none.
        commit: The commit, of a repository.
    """

    folder: Path
    description: dict[str, Any]
    weights: WeightFiles
    figures: Sequence[Figure] = ()
    licence: str = ""
    commit: str = ""


def look(source: str, revision: str | None = None) -> Inspected:
    """Look at a folder, or at a repository, of which only small files and headers are fetched.

    Raises:
        HubError: It cannot be had.
        LoadError: What is there is refused.
    """
    if not names_repository(source):
        folder = local_folder(source, revision=revision)
        description, weights = open_folder(folder)
        return Inspected(folder, description, weights, *_card(folder))
    with Snapshot(Reference(source, revision or MAIN)) as snapshot:
        description, weights = described(snapshot)
        if CARD_FILE in snapshot.files:
            snapshot.file(CARD_FILE, most=MAX_TEXT)
    return Inspected(snapshot.folder, description, weights, *_card(snapshot.folder), snapshot.sha)


def _card(folder: Path) -> tuple[Sequence[Figure], str]:
    """Return what the card states; a broken one tells nothing."""
    with contextlib.suppress(LoadError):
        return read_figures(folder), read_licence(folder)
    return (), ""
