"""Fields of configs that hold a component: which they are, and how flags change them.

``--objective.estimator NAME`` chooses the component of the field ``estimator``, and
``--objective.estimator.FIELD`` sets one of its values. Its config may hold a component itself.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, Union, get_args, get_origin

from genzoo import registry
from genzoo.component import Component, ComponentOverride
from genzoo.config import Config, NoFields, default_of, field_types
from genzoo.errors import ConfigError
from genzoo.model_spec import ModelSpec
from genzoo.registry import Group

_DEEPEST = 2
_OF_DATA = ("event", "conditions")
"""The fields of a model's config that follow from the data."""


@dataclass(frozen=True)
class Place:
    """Where a section of flags stands among a command's arguments.

    Arguments:
        prefix: Its name with underscores, such as ``objective.estimator``.
        named: The texts of the flags of sections, such as ``{"objective.estimator": "mean"}``.
        depth: The number of components that it is inside of.
    """

    prefix: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    depth: int = 0

    @property
    def is_deepest(self) -> bool:
        """Whether components inside have no flags for their fields.

        A component may have one of its own kind as a default, and this one again.
        """
        return self.depth == _DEEPEST

    def chosen(self, name: str, own: Component | None) -> Component | None:
        """Return the component of a field: the one that a flag names, else its own."""
        text = self.named.get(f"{self.prefix}.{name}")
        return own if text is None or (own and own.name == text) else Component(name=text)

    def inside(self, name: str) -> Self:
        """Return the place of the section of a field."""
        prefix, depth = f"{self.prefix}.{name}", self.depth + 1
        return dataclasses.replace(self, prefix=prefix, depth=depth)


@dataclass(frozen=True)
class Held:
    """The component of a field, for its flags.

    Arguments:
        group: Its group.
        own: The prescribed one; None for none.
        about: What the field is.
        without: The words of the help if none is prescribed.
    """

    group: str
    own: Component | None
    about: str
    without: str = "default: none"


def group_of(kind: Any) -> str:
    """Return the group of the component that fields of a type hold; "" if they hold none.

    >>> group_of(Annotated[Component, Group("samplers")] | None), group_of(ModelSpec)
    ('samplers', 'models')
    """
    parts = list(_parts(kind))
    if set(parts) <= {ModelSpec, types.NoneType}:
        return "models"
    groups = [part.name for part in parts if isinstance(part, Group)]
    classes = {part for part in parts if isinstance(part, type)}
    return groups[0] if groups and classes <= {Component, types.NoneType} else ""


def groups_of(config: type[Config]) -> dict[str, str]:
    """Return the group of each field of a config that holds a component."""
    found = {name: group_of(kind) for name, kind in field_types(config).items()}
    return {name: group for name, group in found.items() if group}


def component_of(config: type[Config], own: Mapping[str, Any], name: str) -> Component | None:
    """Return the component in a field: that of some values, else the class's default.

    Arguments:
        config: The config's class.
        own: The values that are set.
        name: The field.
    """
    (one,) = (each for each in dataclasses.fields(config) if each.name == name)
    value = own[name] if name in own else default_of(one)
    if value is None or value is dataclasses.MISSING:
        return None
    if isinstance(value, str):
        return Component(name=value)
    return Component.from_dict(value.to_dict() if isinstance(value, Config) else value)


def config_class(group: str, name: str) -> type[Config]:
    """Return the class of the config of a registered class; one without fields if it has none."""
    kind = getattr(registry.load(group, name), "Config", None)
    return kind if isinstance(kind, type) and issubclass(kind, Config) else NoFields


def hidden_of(group: str) -> tuple[str, ...]:
    """Return the fields of a component that have no flag."""
    return _OF_DATA if group == "models" else ()


def resolved(
    config: type[Config], own: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what flags have changed, with each component complete.

    Arguments:
        config: The config's class.
        own: The prescribed values of the config.
        changes: The values of flags; a `ComponentOverride` for each component that flags change.

    Raises:
        ConfigError: The config of a component has no such field, or a value is out of bounds.
        GenzooError: The name is unknown, or its plugin cannot be loaded.
    """
    groups = groups_of(config)
    return {
        name: _complete(groups[name], component_of(config, own, name), name, value)
        if isinstance(value, ComponentOverride)
        else value
        for name, value in changes.items()
    }


def _complete(
    group: str, own: Component | None, field_name: str, change: ComponentOverride
) -> dict[str, Any]:
    """Return a component with the changes of flags over the prescribed one, checked."""
    name = change.name or (own.name if own else None)
    if name is None:
        raise ConfigError(
            f"{field_name} has values, {', '.join(change.config)}, but no name. Give one of the "
            f"{group} too: {', '.join(registry.names(group))}."
        )
    kind = config_class(group, name)
    # Another component takes nothing from the prescribed one.
    prescribed = own if own and own.name == name else Component(name=name)
    values = resolved(kind, prescribed.config, change.config)
    found = ComponentOverride(name=name, config=values).over(prescribed).to_dict()
    # A model's config is complete, and can be checked, when it is fitted to the data.
    if kind is not NoFields and group != "models":
        kind.from_dict(found["config"])
    return found


def _parts(kind: Any) -> Iterator[Any]:
    """Yield the types and the marks that a type consists of."""
    if get_origin(kind) in (Annotated, Union, types.UnionType):
        for inner in get_args(kind):
            yield from _parts(inner)
    else:
        yield kind
