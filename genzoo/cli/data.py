"""The data of a command: those that its flags name, or those of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from genzoo import registry
from genzoo.cli.arguments import Peeked
from genzoo.cli.components import Place, resolved
from genzoo.cli.fields import changed, extended, section
from genzoo.cli.folders import recipe_of
from genzoo.component import Component
from genzoo.config import Config, field_types
from genzoo.data import Dataset, find_source, load_dataset, pair
from genzoo.errors import ConfigError
from genzoo.hub import names_repository
from genzoo.stage import Recipe


def with_data_fields(arguments: type, peeked: Peeked) -> type:
    """Return a command's arguments with the fields of the named data, or of the run's data."""
    return extended(arguments, sections_of(peeked_data(peeked), peeked))


def data_of(arguments: Any) -> Dataset:
    """Return the split of the data that the arguments name, or of the run's data.

    Raises:
        ConfigError: No data are named, and the folder has no recipe.
    """
    names = {"data": arguments.data_name, "data_y": arguments.data_y_name}
    found = _found(arguments.folder, arguments.revision, names)
    if "data" not in found:
        raise ConfigError(
            f"Which data? {arguments.folder!r} has no recipe that names data known here, and no "
            "file: give --data."
        )
    loaded = {}
    for key, data in found.items():
        given = data_values(data, changed(getattr(arguments, key)))
        loaded[key] = load_dataset(data.name, arguments.split, **{**data.config, **given})
    return pair(loaded["data"], loaded["data_y"]) if "data_y" in loaded else loaded["data"]


def peeked_data(peeked: Peeked) -> dict[str, Component]:
    """Return the data of each domain that flags name, or those of the run."""
    flags = peeked.flags
    names = {"data": flags.get("data"), "data_y": flags.get("data-y")}
    return _found(peeked.positional, flags.get("revision"), names)


def sections_of(data: Mapping[str, Component], peeked: Peeked) -> dict[str, Config]:
    """Return the sections of flags of the data of each domain."""
    return {
        key: section(
            find_source(one.name, _streaming(one.config, key, peeked))[0].Config,
            one.config,
            Place(key, peeked.named),
        )
        for key, one in data.items()
    }


def data_values(data: Component, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of data that flags have changed, with each component complete."""
    config = find_source(data.name, {**data.config, **changes})[0].Config
    return resolved(config, data.config, changes)


def _streaming(config: Mapping[str, Any], key: str, peeked: Peeked) -> dict[str, Any]:
    """Return whether shards are streamed, as the flags or the run say."""
    return {"streaming": f"{key}.streaming" in peeked.named or config.get("streaming")}


def _found(
    source: str, revision: str | None, names: Mapping[str, str | None]
) -> dict[str, Component]:
    """Return the data of each domain; the run's second domain is used only with its first."""
    own = _own(source, revision)
    found = {key: _chosen(name, own.get(key)) for key, name in names.items()}
    known = own["data"].name if "data" in own else None
    if names["data"] not in (None, known) and names["data_y"] is None:
        del found["data_y"]
    return {key: data for key, data in found.items() if data is not None}


def _chosen(name: str | None, own: Component | None) -> Component | None:
    """Return the named data; the run's data keep all settings of the training except a limit."""
    if own is not None and name in (None, own.name):
        limit = ("limit", "limit_seed")
        values = {key: value for key, value in own.config.items() if key not in limit}
        return Component(name=own.name, config=values)
    return None if name is None else Component(name=name)


def _own(source: str, revision: str | None) -> dict[str, Component]:
    """Return the data of the run's recipe.

    A repository's recipe may name registered data, but not files of this machine.
    """
    path = recipe_of(source, revision)
    if path is None:
        return {}
    recipe = Recipe.read(path)
    both = {"data": recipe.data, "data_y": recipe.data_y}
    given = {key: data for key, data in both.items() if data is not None}
    if names_repository(source):
        given = {key: data for key, data in given.items() if _names_no_file(data)}
    return given


def _names_no_file(data: Component) -> bool:
    """Whether data are registered, and none of their values can be a file of this machine.

    A text can be a file, unless it is one of the choices of its field.
    """
    if data.name not in registry.names("datasets"):
        return False
    source = registry.load("datasets", data.name)
    kinds = field_types(source.Config)
    return not source.located and all(
        text in _choices(kinds.get(key))
        for key, value in data.config.items()
        for text in _texts(value)
    )


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the choices of a field with this type; none if it takes any text."""
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return inner
    return tuple(choice for one in inner for choice in _choices(one))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value, including those in its lists and tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
