"""What a model is, told by its config, its card and its weights' headers, without a weight."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genzoo.card import Figure, read_figures, read_licence
from genzoo.errors import LoadError
from genzoo.hub.source import source_of
from genzoo.model_files import CARD
from genzoo.storage import ModelSource, OpenModel, open_model
from genzoo.weights import WeightFiles


@dataclass(frozen=True)
class Inspected:
    """What was found.

    Arguments:
        opened: The model, of which no more than its configs was read.
        weights: Its weights, of which the headers were read.
        figures: What the card states; none where there is no card, or none that can be read.
        licence: What the card states; empty where it states none.
        commit: The commit, of a repository.
    """

    opened: OpenModel
    weights: WeightFiles
    figures: Sequence[Figure] = ()
    licence: str = ""
    commit: str = ""

    @property
    def description(self) -> dict[str, Any]:
        """What ``config.json`` says, or would say."""
        return self.opened.description


def inspect(source: str, revision: str | None = None) -> Inspected:
    """Look at a folder, or at a repository, of which only small files and headers are fetched.

    Raises:
        HubError: The Hub does not give it.
        LoadError: What is there is refused.
    """
    with source_of(source, revision=revision) as files:
        opened = open_model(files)
        weights, card = opened.weights, _card(files)
    return Inspected(opened, weights, *card, files.commit)


def _card(files: ModelSource) -> tuple[Sequence[Figure], str]:
    """Return what the card states; one that is broken tells nothing."""
    if CARD.name in files:
        files.file(CARD.name, CARD.max_bytes)
    with contextlib.suppress(LoadError):
        return read_figures(files.folder), read_licence(files.folder)
    return (), ""
