"""Stages and recipes: what is trained, on which data and how, as values that a file can hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from genzoo.component import Component
from genzoo.config import Bounds, Config, shown
from genzoo.errors import ConfigError
from genzoo.parsing import MAX_TOML_BYTES, strict_toml
from genzoo.training.config import TrainerConfig

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Stage(Config):
    """An objective with its training values and, where needed, the part of the model it trains.

    >>> Stage(model="second", inputs=("first",), objective="pcd").objective
    Component(name='pcd', config={})
    """

    objective: Component
    """What is minimised."""
    trainer: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainerConfig` that the paper prescribes; the user's values override them."""
    model: Annotated[str | None, Bounds(1, 4096)] = None
    """The nested model that the objective is for, by its dotted name; None means the whole model.
    Only this model is trained."""
    inputs: Annotated[tuple[Annotated[str, Bounds(1, 4096)], ...], Bounds(0, 16)] = ()
    """The nested models that the data pass through first, in order, by their dotted names. The
    stage's data are draws of the last one's codes, or their means if the codes are real numbers.
    If empty, the data are unchanged."""
    part: str | tuple[str, ...] = ""
    """The submodule of that model that is trained, or several, by their dotted names; if empty,
    the whole model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        TrainerConfig.from_dict(self.trainer)


@dataclass(frozen=True, kw_only=True)
class Recipe(Config):
    """The definition of a run: the same recipe, versions and machine give the same model."""

    model: Component
    """The model, with the fields of its config that are set."""
    data: Component
    """The data, with the fields of their config."""
    data_y: Component | None = None
    """The data of the second domain, if there is one."""
    stages: tuple[Stage, ...] = ()
    """The stages in order; if empty, the model's default stages."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Training values for every stage."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a recipe from a TOML file.

        Raises:
            ConfigError: The file cannot be read, is not TOML, or is not a recipe.
        """
        try:
            with Path(path).open("rb") as file:
                values = strict_toml(file.read(MAX_TOML_BYTES + 1).decode("utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(
                f"There is no recipe {os.fspath(path)!r}. Check the path."
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"The recipe {os.fspath(path)!r} cannot be read: {error}") from error
        try:
            return cls.from_dict(values)
        except ConfigError as error:
            raise ConfigError(f"The recipe {os.fspath(path)!r}: {error}") from error

    def to_toml(self) -> str:
        """Return the recipe as TOML; `read` returns an equal recipe.

        Raises:
            ConfigError: It contains a value that TOML cannot express.
        """
        return "\n".join(_table(self.to_dict(), ())).strip() + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the lines of a table: plain values first, then tables, then arrays of tables."""
    given = {key: value for key, value in table.items() if value is not None}
    nested = {k: v for k, v in given.items() if isinstance(v, Mapping)}
    arrays = {k: v for k, v in given.items() if _is_array_of_tables(v)}
    plain = {k: v for k, v in given.items() if k not in nested and k not in arrays}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in nested.items():
        inner = (*path, key)
        lines += ["", f"[{'.'.join(map(_key, inner))}]", *_table(value, inner)]
    for key, values in arrays.items():
        inner = (*path, key)
        for value in values:
            lines += ["", f"[[{'.'.join(map(_key, inner))}]]", *_table(value, inner)]
    return lines


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(v, Mapping) for v in value)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"A recipe cannot hold the key {shown(key)}: use a text.")
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    """Return a value as TOML writes it in one line."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = [f"{_key(key)} = {_value(item)}" for key, item in value.items()]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int) and value.bit_length() <= 64:
        return repr(int(value))
    if isinstance(value, str):
        return _text(value)
    raise ConfigError(
        f"A recipe cannot hold {shown(value)}: use texts, numbers, lists and tables."
    )


def _text(text: str) -> str:
    """Return a basic string: as JSON, with one more control character escaped."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"A recipe cannot hold the text {text!r}: it is not Unicode.") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
