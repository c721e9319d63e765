"""How a model was trained, in a card: its recipe and data."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.card.model import paragraph_of
from genzoo.component import Component
from genzoo.data import DataSource, find_source
from genzoo.errors import ConfigError, GenzooError, LoadError, PluginError
from genzoo.evaluation.provenance import flat
from genzoo.hub.reference import is_repository
from genzoo.model_files import RECIPE
from genzoo.parsing import strict_toml
from genzoo.stage import Recipe

_MOST_SHOWN = 2**18
_BINARISED = {
    "threshold": "binarised at 0.5",
    "static": "binarised by one draw of each value",
    "dynamic": "binarised by a draw of each value at each presentation",
}


@dataclass(frozen=True)
class Data:
    """The training data of a model, in words.

    Arguments:
        name: The registered name, path or repository.
        how: Their preprocessing; empty for none.
        summary: Their description; empty if it is not known.
        reference: Their source; empty if it is not known.
        repository: Their Hub repository; empty if none is known.
    """

    name: str
    how: str
    summary: str
    reference: str
    repository: str


@dataclass(frozen=True)
class Training:
    """How a model was trained.

    Arguments:
        recipe: The text of the recipe.
        data: The data of each domain; empty if this version cannot read the recipe.
    """

    recipe: str
    data: Sequence[Data]


def read_training(folder: Path) -> Training | None:
    """Return the content of a folder's recipe, or None if there is none that can be shown."""
    try:
        text = RECIPE.read_text(folder)
        shown = text if len(text) <= _MOST_SHOWN else ""
    except (OSError, ValueError, LoadError):
        return None
    return Training(shown, _data(shown)) if shown.strip() else None


def _data(text: str) -> list[Data]:
    try:
        recipe = Recipe.from_dict(strict_toml(text))
    except (ConfigError, ValueError):
        return []
    return [_described(data) for data in (recipe.data, recipe.data_y) if data is not None]


def _described(data: Component) -> Data:
    cls = _source(data.name)
    known = cls is not None and data.name in registry.names("datasets")
    return Data(
        name=data.name,
        how=_how(data.config),
        summary=paragraph_of(cls) if known and cls else "",
        reference=_reference(cls) if known and cls else "",
        repository=_repository(cls, data.name),
    )


def _source(name: str) -> type[DataSource] | None:
    """Return the source of the data, or None if it is unknown or a path."""
    if name in registry.names("datasets") or is_repository(name):
        with contextlib.suppress(GenzooError):
            return find_source(name)[0]
    return None


def _repository(cls: type[DataSource] | None, name: str) -> str:
    """Return the Hub repository of the data, if it is known."""
    if cls is None:
        return ""
    with contextlib.suppress(PluginError):
        if registry.name_of("datasets", cls) == "hub":
            return name
    return cls.repository


def _how(config: Mapping[str, Any]) -> str:
    """Return the preprocessing of the data, the most important first."""
    rest = {key: value for key, value in config.items() if key != "binarize"}
    first = _BINARISED.get(str(config.get("binarize")), "")
    return ", ".join(part for part in (first, flat(rest)) if part)


def _reference(cls: type[DataSource]) -> str:
    """Return the reference in the docstring of a source: the lines that a bar begins."""
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    return " ".join(line.removeprefix("| ").strip() for line in lines if line.startswith("| "))
