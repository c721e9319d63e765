"""The description of a model in a card, from its config, its class and its weights' headers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from genzoo import capabilities
from genzoo.card.escaping import code
from genzoo.card.snippets import snippet_for
from genzoo.config import abridged
from genzoo.model import Model
from genzoo.sample_metadata import SampleMetadata
from genzoo.showing import is_image
from genzoo.storage import FolderSource, OwnModel
from genzoo.weights import WeightFiles


@dataclass(frozen=True)
class About:
    """The description of a model.

    Arguments:
        name: Its registered name.
        summary: Sentences that say what it is.
        rows: Facts by title, as Markdown.
        snippet: Python code that loads it and draws samples.
        conditions: The names of its conditions.
        is_image: Whether its samples are images.
        limits: Its limitations.
        papers: Its sources.
    """

    name: str
    summary: str
    rows: Mapping[str, Any]
    snippet: str
    conditions: tuple[str, ...]
    is_image: bool
    limits: tuple[str, ...]
    papers: tuple[str, ...]


def read_about(folder: Path, source: str, drawn: SampleMetadata | None = None) -> About:
    """Return the description of a model folder, without reading weights.

    Arguments:
        folder: The folder.
        source: The source in the snippet.
        drawn: The settings of its sample picture, which the snippet uses too.

    Raises:
        LoadError: Config and weights are not a valid model.
        UnknownNameError: No installed plugin registers the model.
    """
    opened = OwnModel(FolderSource(folder))
    description, model = opened.description, opened.check().model
    return About(
        name=description["model"],
        summary=summary_of(type(model)),
        rows=_rows(model, description, opened.weights),
        snippet=snippet_for(model, source, drawn),
        conditions=tuple(model.conditions),
        is_image=is_image(model.event),
        limits=model.limits,
        papers=model.papers,
    )


def summary_of(cls: type[Model]) -> str:
    """Return the first paragraph of a class's docstring, or else of its config's docstring."""
    if text := paragraph_of(cls):
        return text
    made_up = f"{cls.Config.__name__}("  # The default docstring of dataclasses.
    config = paragraph_of(cls.Config)
    return "" if config.startswith(made_up) else config


def paragraph_of(cls: type) -> str:
    """Return the first paragraph of a class's own docstring, on one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


def _rows(model: Model, description: Mapping[str, Any], files: WeightFiles) -> dict[str, Any]:
    plugin = description["plugin"]
    owner = f"{plugin['distribution']} {plugin['version']}".strip()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    elsewhere = {"event", "conditions"}
    shown = {k: v for k, v in description["config"].items() if k not in elsewhere}
    values = {k: json.dumps(abridged(v), ensure_ascii=False) for k, v in shown.items()}
    given = {name: space.describe() for name, space in model.conditions.items()}
    rows = {
        "model": Markup(f"{code(description['model'])} of {code(owner or 'this session')}"),
        "data": model.event.describe(),
        "given": "; ".join(f"{name} ({words})" for name, words in given.items()),
        "parameters": f"{parameters:,}",
        "weights": f"{files.num_bytes() / 1e6:,.2f} MB, {description['dtype']}",
        "config": Markup(", ".join(code(f"{k} = {v}") for k, v in values.items())),
        "can": ", ".join(_words(name) for name in capabilities.of(model)),
    }
    return {key: text for key, text in rows.items() if text}


def _words(capability: str) -> str:
    """Return a capability's name as words.

    >>> _words("LogProb")
    'log prob'
    """
    return "".join(f" {c.lower()}" if c.isupper() else c for c in capability).strip()
