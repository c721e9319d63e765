"""Fields of configs made into flags."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import tyro

from genzoo.cli.value_kinds import ValueKind, name_of
from genzoo.config import Config, field_types, plain, required_fields
from genzoo.pretrained import GenerativeModel


def section(
    config: type[Config],
    defaults: Mapping[str, Any] | None = None,
    replaced: Mapping[str, Any] | None = None,
    shown: Mapping[str, Any] | None = None,
    choices: Mapping[str, Any] | None = None,
    hidden: Sequence[str] = (),
    named: bool = False,
) -> Config:
    """Return a config's fields as a section of flags with their defaults.

    Its class inherits from the config's, so that tyro finds the help of each field in the source.
    Its values are checked when the config is made from them. A field without a default may be left
    out and is then None.

    Arguments:
        config: The config's class.
        defaults: Values that override those of the class.
        replaced: Fields that are sections of their own.
        shown: The effective values of fields whose default is None, for the help.
        choices: The types of flags that choose a class, by the name of the field that holds its
            fields.
        hidden: Fields for which there is no flag.
        named: Whether there is a flag ``conditions`` for names of fields of the data.
    """
    types, given = field_types(config), dict(defaults or {})
    fields: list[Any] = [(name, types[name], _default(value)) for name, value in given.items()]
    fields += [(name, _HIDDEN, _default(None)) for name in hidden]
    if named:
        fields = [field for field in fields if field[0] != "conditions"]
        fields.append(("conditions", _CONDITIONS, _default(())))
    for name in set(required_fields(config)) - given.keys() - set(hidden):
        fields.append((name, Annotated[types[name] | None, _FITTED], _default(None)))
    for name, value in (shown or {}).items():
        hint = tyro.conf.arg(help_behavior_hint=f"(default: {value})")
        fields.append((name, Annotated[types[name], hint], _default(None)))
    for name, kind in (choices or {}).items():
        fields.append((f"{name}_name", kind, _default(None)))
    for name, value in (replaced or {}).items():
        fields.append((name, type(value), _default(value)))
    made = dataclasses.make_dataclass(
        config.__name__,
        fields,
        bases=(config,),
        namespace={"__post_init__": lambda self: None, "__doc__": config.__doc__},
        kw_only=True,
        frozen=True,
    )
    found: Config = made()
    return found


def model_section(model: type[GenerativeModel]) -> Config:
    """Return a model's fields as a section of flags.

    The spaces of its event and conditions follow from the data. Conditions are chosen by names of
    fields of the data.
    """
    spaces = [name for name in ("event", "conditions") if name in field_types(model.Config)]
    return section(model.Config, hidden=spaces, named=bool(model.condition_spaces))


def choice(flag: str, about: str, default: str, group: str) -> Any:
    """Return the type of a flag that chooses a class of a group by name."""
    hint = f"(default: {default})"
    mark = tyro.conf.arg(name=flag, metavar="NAME", help=about, help_behavior_hint=hint)
    return Annotated[str | None, mark, name_of(group)]


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


def changed(
    value: Any, default: Any, typed: Collection[str] = (), prefix: str = ""
) -> dict[str, Any]:
    """Return the fields of a section that were given, as plain values.

    They differ from their defaults or were typed: the default of a model that is fitted to data is
    another one than that of its class.

    Arguments:
        value: The section.
        default: The section with its defaults.
        typed: The flags that were typed.
        prefix: The name of the section in them.
    """
    names = [field.name for field in dataclasses.fields(value)]
    pairs = {name: (getattr(value, name), getattr(default, name)) for name in names}
    return {
        name: plain(new)
        for name, (new, old) in pairs.items()
        if new != old or f"{prefix}.{name}" in typed
    }


_HIDDEN = Annotated[Any, tyro.conf.Suppress]
_CONDITIONS = Annotated[
    tuple[str, ...],
    tyro.conf.arg(help="Fields of the data that condition the model, such as label text."),
    ValueKind("names of fields"),
]
_FITTED = tyro.conf.arg(help_behavior_hint="(default: that of the data)")


def _default(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return dataclasses.field(default_factory=lambda: value)
    return dataclasses.field(default=value)
