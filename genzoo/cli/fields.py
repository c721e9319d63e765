"""Fields of configs made into flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import tyro

from genzoo.cli.components import Held, Place, component_of, config_class, groups_of, hidden_of
from genzoo.cli.flag_table import normal
from genzoo.cli.help_page import docs_of
from genzoo.cli.value_kinds import ValueKind, name_of
from genzoo.component import Component, ComponentOverride
from genzoo.config import Config, converted, field_types, plain, required_fields
from genzoo.pretrained import GenerativeModel

_NAMING = "__name"
"""What follows a field's name in that of the flag that chooses its component."""
_FITTED = "default: that of the data"


def section(
    config: type[Config],
    defaults: Mapping[str, Any] | None = None,
    place: Place | None = None,
    shown: Mapping[str, Any] | None = None,
    parts: Mapping[str, Any] | None = None,
    hidden: Sequence[str] = (),
    named: bool = False,
    required: str = _FITTED,
) -> Config:
    """Return a config's fields as a section of flags with their defaults.

    Its class inherits from the config's, so that tyro finds the help of each field in the source.
    Its values are checked when the config is made from them. A field without a default may be left
    out and is then None. A field that holds a component has a flag that names another one, and a
    section with the component's fields.

    Arguments:
        config: The config's class.
        defaults: Values that override those of the class.
        place: Where the section stands, with the names of components.
        shown: The effective values of fields whose default is None, for the help.
        parts: Fields that are sections of their own.
        hidden: Fields for which there is no flag.
        named: Whether there is a flag ``conditions`` for names of fields of the data.
        required: The words of the help for a field without a default.
    """
    kinds, given, parts = field_types(config), dict(defaults or {}), parts or {}
    hidden = [name for name in hidden if name in kinds]
    held = {name: group for name, group in groups_of(config).items() if name not in hidden}
    replaced = {*held, *hidden, *parts, *(["conditions"] if named else [])}
    fields = [(n, kinds[n], _default(value)) for n, value in given.items() if n not in replaced]
    fields += [(name, _HIDDEN, _default(None)) for name in hidden]
    if named:
        fields.append(("conditions", _CONDITIONS, _default(())))
    for name in set(required_fields(config)) - given.keys() - replaced:
        hint = tyro.conf.arg(help_behavior_hint=f"({required})")
        fields.append((name, Annotated[kinds[name] | None, hint], _default(None)))
    for name, value in (shown or {}).items():
        hint = tyro.conf.arg(help_behavior_hint=f"(default: {value})")
        fields.append((name, Annotated[kinds[name], hint], _default(None)))
    for name, value in parts.items():
        fields.append((name, type(value), _default(value)))
    fields += _of_components(_held(config, held, given, required), place or Place())
    marks = {"_held": tuple(held), "_parts": tuple(parts)}
    found: Config = _made(config.__name__, fields, config.__doc__, marks, (config,))
    return found


def components_section(held: Mapping[str, Held], place: Place, title: str) -> Any:
    """Return a section whose fields all hold components.

    Arguments:
        held: The component of each field.
        place: Where the section stands, with the names of components.
        title: What the section is.
    """
    marks = {"_held": tuple(held), "_parts": ()}
    return _made("Components", _of_components(held, place), title, marks)


def model_section(model: type[GenerativeModel], place: Place) -> Config:
    """Return a model's fields as a section of flags.

    The spaces of its event and conditions follow from the data. Conditions are chosen by names of
    fields of the data.
    """
    named = bool(model.condition_spaces)
    hidden = [name for name in hidden_of("models") if not (named and name == "conditions")]
    return section(model.Config, place=place, hidden=hidden, named=named)


def extended(arguments: type, values: Mapping[str, Any]) -> type:
    """Return a command's arguments with sections of flags, if there are any, added."""
    if not values:
        return arguments
    fields: list[Any] = [(key, type(value), _default(value)) for key, value in values.items()]
    made = dataclasses.make_dataclass(
        arguments.__name__, fields, bases=(arguments,), kw_only=True, frozen=True
    )
    made.__doc__ = arguments.__doc__
    return made


def changed(value: Any, typed: Collection[str] = (), prefix: str = "") -> dict[str, Any]:
    """Return the fields of a section that were given, as plain values.

    They differ from their defaults or were typed: the default of a model that is fitted to data is
    another one than that of its class. For a component it is a `ComponentOverride`, which
    `genzoo.cli.components.resolved` completes.

    Arguments:
        value: The section.
        typed: The flags that were typed.
        prefix: The name of the section in them.
    """
    default: Any = type(value)()
    found: dict[str, Any] = {}
    namings = {f"{name}{_NAMING}" for name in value._held}
    for name in (f.name for f in dataclasses.fields(value) if f.name not in namings):
        new, where = getattr(value, name), f"{prefix}.{name}"
        if name in value._held:
            change = ComponentOverride(
                name=getattr(value, f"{name}{_NAMING}"),
                config={} if new is None else changed(new, typed, where),
            )
            if change != ComponentOverride():
                found[name] = change
        elif name in value._parts:
            if inner := changed(new, typed, where):
                found[name] = inner
        elif new != getattr(default, name) or where in typed:
            found[name] = plain(new)
    return found


def _held(
    config: type[Config], groups: Mapping[str, str], own: Mapping[str, Any], required: str
) -> dict[str, Held]:
    """Return the components of the fields that hold one."""
    docs, needed = docs_of(config) if groups else {}, required_fields(config)
    found = {}
    for name, group in groups.items():
        # `configure` may choose a model that is not given.
        words = required if group == "models" else "required"
        without = {"without": words} if name in needed else {}
        found[name] = Held(group, component_of(config, own, name), docs.get(name, ""), **without)
    return found


def _of_components(held: Mapping[str, Held], place: Place) -> list[Any]:
    """Return the fields of a section for components: a choice for each, and its own section."""
    fields: list[Any] = []
    for name, one in held.items():
        fields.append((f"{name}{_NAMING}", _choice(name, one), _default(None)))
        chosen = None if place.is_deepest else place.chosen(name, one.own)
        if chosen is None:
            fields.append((name, _HIDDEN, _default(None)))
        else:
            inner = _of_component(one.group, chosen, place.inside(name))
            fields.append((name, type(inner), _default(inner)))
    return fields


def _of_component(group: str, component: Component, place: Place) -> Config:
    """Return the section of a component's fields, with its values."""
    config, hidden = config_class(group, component.name), hidden_of(group)
    values = converted(config, component.config)
    required = _FITTED if group == "models" else "required"
    return section(config, values, place, hidden=hidden, required=required)


def _choice(name: str, held: Held) -> Any:
    """Return the type of a flag that chooses the component of a field by name."""
    default = f"default: {held.own.name}" if held.own else held.without
    mark = tyro.conf.arg(
        name=normal(name),
        metavar="NAME",
        help=f"{held.about} See genzoo list {held.group}.".lstrip(),
        help_behavior_hint=f"({default})",
    )
    return Annotated[str | None, mark, name_of(held.group)]


def _made(
    name: str,
    fields: Sequence[Any],
    doc: str | None,
    marks: Mapping[str, Any],
    bases: tuple[type, ...] = (),
) -> Any:
    """Return an instance of a new dataclass, whose values are not checked."""
    namespace = {"__post_init__": lambda self: None, "__doc__": doc, **marks}
    made = dataclasses.make_dataclass(
        name, fields, bases=bases, namespace=namespace, kw_only=True, frozen=True
    )
    return made()


_HIDDEN = Annotated[Any, tyro.conf.Suppress]
_CONDITIONS = Annotated[
    tuple[str, ...],
    tyro.conf.arg(help="Fields of the data that condition the model, such as label text."),
    ValueKind("names of fields"),
]


def _default(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return dataclasses.field(default_factory=lambda: value)
    return dataclasses.field(default=value)
