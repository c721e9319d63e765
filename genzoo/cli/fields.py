"""Fields of configs made into flags with their help."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Annotated, Any

import tyro

from genzoo.config import Config, required_fields


def with_help(field: dataclasses.Field[Any], owner: type) -> Any:
    """Return a field's type with its docstring as help; a made dataclass has no source for it."""
    kind = typing.get_type_hints(owner, include_extras=True)[field.name]
    return Annotated[kind, tyro.conf.arg(help=docstring(field.name, owner))]


def docstring(name: str, owner: type) -> str:
    """Return the text under a field in its class's source; empty where there is none."""
    try:
        lines = inspect.getsource(owner).splitlines()
    except (OSError, TypeError):
        return ""
    starts = [i for i, line in enumerate(lines) if line.strip().startswith(f"{name}:")]
    if not starts:
        return ""
    following = " ".join(lines[starts[0] + 1 :]).strip()
    if not following.startswith('"""'):
        following = " ".join(lines[starts[0] :]).partition(" = ")[2].partition(")")[2].strip()
    text = following.removeprefix('"""').partition('"""')[0] if '"""' in following else ""
    return " ".join(text.split())


def fitted_section(config: type[Config]) -> Any:
    """Return a dataclass with a config's fields, where those that the data give may be left out."""
    required, fields = required_fields(config), []
    for field in dataclasses.fields(config):
        if field.name not in required:
            fields.append((field.name, with_help(field, config), field))
            continue
        kind = typing.get_type_hints(config, include_extras=True)[field.name]
        text = f"{docstring(field.name, config)} By default as the data have it."
        optional: Any = Annotated[kind | None, tyro.conf.arg(help=text)]
        fields.append((field.name, optional, dataclasses.field(default=None)))
    made = dataclasses.make_dataclass(config.__name__, fields, kw_only=True, frozen=True)
    made.__doc__ = config.__doc__
    return made
