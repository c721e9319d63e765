"""What a card says of a model, told by its config, its class and its weights' headers."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from genzoo import capabilities
from genzoo.card.drawn import Drawn
from genzoo.card.escaping import code
from genzoo.card.samples import can_be_drawn
from genzoo.card.snippets import snippet_for
from genzoo.config import abridged
from genzoo.errors import DataError
from genzoo.model import GenerativeModel
from genzoo.spec import DataSpec
from genzoo.storage import build_described, open_own
from genzoo.weights import WeightFiles

_KINDS = {
    "binary": "zeros and ones",
    "unit": "values from 0 to 1",
    "real": "real values",
    "categorical": "class indices",
}
_GIVEN = {"none": "", "label": "a label", "text": "a text", "image": "an image"}
_RANGES = {"binary": (0.0, 1.0), "unit": (0.0, 1.0)}


@dataclass(frozen=True)
class About:
    """A model in words.

    Arguments:
        name: Its registered name.
        summary: What it is, in sentences.
        rows: Facts by what they are of, as Markdown.
        snippet: Python that loads it and draws from it.
        condition_kind: What it is conditioned on.
        is_image: Whether its samples are images.
        limits: What it cannot do.
        papers: What it comes from.
    """

    name: str
    summary: str
    rows: Mapping[str, Any]
    snippet: str
    condition_kind: str
    is_image: bool
    limits: tuple[str, ...]
    papers: tuple[str, ...]


def read_about(folder: Path, source: str, drawn: Drawn | None = None) -> About:
    """Return what a model folder holds, without reading a weight.

    Arguments:
        folder: The folder.
        source: Where the snippet loads the model from.
        drawn: How its sample picture was drawn, which the snippet does too.

    Raises:
        LoadError: Config and weights are no sound model.
        UnknownNameError: No installed plugin registers the model.
    """
    description, files = open_own(folder)
    model = build_described(description, folder, files).model
    return About(
        name=description["model"],
        summary=summary_of(type(model)),
        rows=_rows(model, description, files),
        snippet=snippet_for(model, source, drawn),
        condition_kind=model.condition_kind,
        is_image=len(model.event_shape) == 3 and can_be_drawn(model.event_shape),
        limits=model.limits,
        papers=model.papers,
    )


def summary_of(cls: type[GenerativeModel]) -> str:
    """Return the first paragraph of a class's docstring, or else of its config's."""
    if text := paragraph_of(cls):
        return text
    made_up = f"{cls.Config.__name__}("  # What dataclasses write where there is no docstring.
    config = paragraph_of(cls.Config)
    return "" if config.startswith(made_up) else config


def paragraph_of(cls: type) -> str:
    """Return the first paragraph of a class's own docstring, in one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


def _rows(
    model: GenerativeModel, description: Mapping[str, Any], files: WeightFiles
) -> dict[str, Any]:
    plugin = description["plugin"]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    shown = {k: v for k, v in description["config"].items() if k != "event_shape"}
    rows = {
        "model": Markup(f"{code(description['model'])} of {code(_named(plugin))}"),
        "data": f"{' × '.join(map(str, model.event_shape))}: {' or '.join(_kinds(model))}",
        "given": _GIVEN.get(model.condition_kind, model.condition_kind),
        "parameters": f"{parameters:,}",
        "weights": f"{files.num_bytes() / 1e6:,.2f} MB, {description['dtype']}",
        "config": Markup(", ".join(code(f"{k} = {_value(v)}") for k, v in shown.items())),
        "can": ", ".join(_words(name) for name in capabilities.of(model)),
    }
    return {key: text for key, text in rows.items() if text}


def _named(plugin: Mapping[str, str]) -> str:
    return f"{plugin['distribution']} {plugin['version']}".strip() or "this session"


def _value(value: Any) -> str:
    return json.dumps(abridged(value), ensure_ascii=False)


def _kinds(model: GenerativeModel) -> list[str]:
    """Return the kinds of data that this very model takes, in words."""
    kinds = [kind for kind in _KINDS if kind in model.kind]
    fitting = [kind for kind in kinds if _takes(model, kind)]
    return [_KINDS[kind] for kind in fitting or kinds]


def _takes(model: GenerativeModel, kind: Any) -> bool:
    spec = DataSpec(event_shape=model.event_shape, kind=kind, **_range(kind))
    try:
        model.check_data(spec)
    except DataError:
        return False
    return True


def _range(kind: str) -> dict[str, Any]:
    return {"range": _RANGES[kind]} if kind in _RANGES else {}


def _words(capability: str) -> str:
    """Return a capability's name as words.

    >>> _words("LogProb")
    'log prob'
    """
    return "".join(f" {c.lower()}" if c.isupper() else c for c in capability).strip()
