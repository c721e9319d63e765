"""How a model was trained, in a card: its recipe and data."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.card.model import paragraph_of
from genzoo.card.seen import seen_of
from genzoo.component import Component
from genzoo.data import DataSource, find_source
from genzoo.errors import ConfigError, GenzooError, LoadError, PluginError
from genzoo.evaluation.provenance import flat
from genzoo.hub.reference import is_repository
from genzoo.model_files import RECIPE
from genzoo.parsing import strict_toml
from genzoo.stage import Recipe

_MOST_SHOWN = 2**18
_AVERAGED = "# Averaged after training:"
_COMMENT = re.compile(
    rf"{_AVERAGED} sigma_rel (0\.\d{{1,18}}), stage (\d{{1,3}}), step (\d{{1,9}}), "
    r"relative error (\d[\d.e+-]{1,9})\n"
)
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
class MadeAverage:
    """How the weights were averaged after training, in words.

    Arguments:
        sigma_rel: The length of the average.
        stage: The number of the stage.
        step: The update after which it is the average.
        relative_error: The relative error of its profile.
    """

    sigma_rel: str
    stage: str
    step: str
    relative_error: str


@dataclass(frozen=True)
class Training:
    """How a model was trained.

    Arguments:
        recipe: The text of the recipe.
        data: The data of each domain; empty if this version cannot read the recipe.
        average: The average of the weights that was made after training; None if there is none.
        seen: How many rows of a stream it has seen; empty for other data.
    """

    recipe: str
    data: Sequence[Data]
    average: MadeAverage | None = None
    seen: str = ""


def read_training(folder: Path) -> Training | None:
    """Return the content of a folder's recipe, or None if there is none that can be shown."""
    try:
        text = RECIPE.read_text(folder)
        shown = text if len(text) <= _MOST_SHOWN else ""
    except (OSError, ValueError, LoadError):
        return None
    if not shown.strip():
        return None
    return Training(shown, _data(shown), _average(shown), seen_of(folder))


def averaging_comment(sigma_rel: float, stage: int, step: int, relative_error: float) -> str:
    """Return the comment of a recipe that says how an average was made after training.

    >>> averaging_comment(0.1, 0, 200, 1.2e-5)
    '# Averaged after training: sigma_rel 0.1, stage 0, step 200, relative error 1.2e-05'
    """
    return (
        f"{_AVERAGED} sigma_rel {sigma_rel!r}, stage {stage}, step {step}, relative error "
        f"{relative_error:.1e}"
    )


def _average(recipe: str) -> MadeAverage | None:
    match = _COMMENT.match(recipe)
    return None if match is None else MadeAverage(*match.groups())


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
    rest = {k: value for k, value in config.items() if k not in ("binarize", "streaming")}
    first = _BINARISED.get(str(config.get("binarize")), "")
    streamed = "streamed from shards" if config.get("streaming") else ""
    return ", ".join(part for part in (first, flat(rest), streamed) if part)


def _reference(cls: type[DataSource]) -> str:
    """Return the reference in the docstring of a source: the lines that a bar begins."""
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    return " ".join(line.removeprefix("| ").strip() for line in lines if line.startswith("| "))
