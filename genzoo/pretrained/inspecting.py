"""The description of a model from its config, its card and its weights' headers."""

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
    """The description of a model.

    Arguments:
        opened: The model, of which only configs were read.
        weights: Its weights, of which only headers were read.
        figures: The figures in the card; none if there is no readable card.
        licence: The licence in the card, or empty.
        commit: The commit of a repository.
    """

    opened: OpenModel
    weights: WeightFiles
    figures: Sequence[Figure] = ()
    licence: str = ""
    commit: str = ""

    @property
    def description(self) -> dict[str, Any]:
        """The content of ``config.json``, real or derived."""
        return self.opened.description


def inspect(source: str, revision: str | None = None) -> Inspected:
    """Inspect a folder, or a repository of which only small files and headers are fetched.

    Raises:
        HubError: It is not available.
        LoadError: It is refused.
    """
    with source_of(source, revision=revision) as files:
        opened = open_model(files)
        weights, card = opened.weights, _card(files)
    return Inspected(opened, weights, *card, files.commit)


def _card(files: ModelSource) -> tuple[Sequence[Figure], str]:
    """Return the figures and the licence of the card; a broken card has none."""
    if CARD.name in files:
        files.file(CARD.name, CARD.max_bytes)
    with contextlib.suppress(LoadError):
        return read_figures(files.folder), read_licence(files.folder)
    return (), ""
