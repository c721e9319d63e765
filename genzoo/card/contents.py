"""The content of a card, and the rendered card."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from genzoo.card.escaping import code, escaped, fenced
from genzoo.card.figures import Figure
from genzoo.card.model import About, read_about
from genzoo.card.table import table
from genzoo.card.training import Training, read_training
from genzoo.model_files import CONFIG, SAMPLES
from genzoo.sample_metadata import SampleMetadata

TEMPLATE = "card.md.jinja"


@dataclass(frozen=True)
class Contents:
    """The content of a card.

    Arguments:
        name: The title of the model.
        source: The repository or folder that it is loaded from.
        about: The description of the model; None for a folder without a config.
        training: How it was trained; None if there is no recipe.
        caption: How its sample picture was drawn; None if there is no picture.
        figures: Its figures.
        licence: Its licence; empty if none is stated.
    """

    name: str
    source: str
    about: About | None = None
    training: Training | None = None
    caption: str | None = None
    figures: Sequence[Figure] = ()
    licence: str = ""


def read_contents(
    folder: Path, *, name: str, source: str, figures: Sequence[Figure], licence: str
) -> Contents:
    """Read the content of a card from a folder.

    Raises:
        LoadError: Its config or weights are refused.
    """
    there = (folder / CONFIG.name).exists()
    drawn = SampleMetadata.read(folder / SAMPLES.name)
    return Contents(
        name=name,
        source=source,
        about=read_about(folder, source, drawn) if there else None,
        training=read_training(folder),
        caption=None if drawn is None else drawn.in_words(),
        figures=figures,
        licence=licence,
    )


def render(contents: Contents) -> str:
    """Return the text of a card, with all values escaped."""
    text = resources.files("genzoo.card").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "fenced": fenced, "quoted": shlex.quote, "table": table}
    return environment.from_string(text).render(card=contents, picture=SAMPLES.name)
