"""All that a card is made of, and the card made of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from genzoo.card.escaping import code, escaped, fenced
from genzoo.card.figures import Figure
from genzoo.card.model import About, read_about
from genzoo.card.sample_metadata import Drawn
from genzoo.card.table import table
from genzoo.card.training import Training, read_training
from genzoo.model_files import CONFIG, SAMPLES

TEMPLATE = "card.md.jinja"


@dataclass(frozen=True)
class Contents:
    """What a card says.

    Arguments:
        name: What the model is called.
        source: Where it is loaded from.
        about: What it is; None of a folder without a config.
        training: How it was made; None where there is no recipe.
        caption: How its sample picture was drawn; None where there is no picture.
        figures: What it was judged to be.
        licence: Its licence; empty where none is stated.
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
    """Read what a folder holds.

    Raises:
        LoadError: Its config or weights are refused.
    """
    there = (folder / CONFIG.name).exists()
    drawn = Drawn.read(folder / SAMPLES.name)
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
    """Return the text of a card, whatever stands in it shown as text."""
    text = resources.files("genzoo.card").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "fenced": fenced, "quoted": _quoted, "table": table}
    return environment.from_string(text).render(card=contents, picture=SAMPLES.name)


def _quoted(text: Any) -> str:
    return shlex.quote(str(text))
