"""The stored form of a space: its registered name and the fields that are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, cast

from genzoo import plugin_hints, registry
from genzoo.config import Bounds, Config, required_fields, shown
from genzoo.errors import ConfigError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Stored(Config):
    """The stored form of a space in a config."""

    name: Annotated[str, Bounds(1, 64)]
    """The registered name."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config that are set."""


def stored(values: Any) -> Stored:
    """Check and return the stored form of a space.

    Raises:
        ConfigError: It is malformed.
    """
    if not isinstance(values, Mapping) or "name" not in values:
        raise ConfigError(
            "A space is stored as {'name': …, 'config': {…}}, such as {'name': 'unit', "
            f"'config': {{'shape': [1, 28, 28]}}}}; got {shown(values)}."
        )
    return Stored.from_dict(values)


def registered(name: str) -> Any:
    """Return the class of a space by its registered name.

    Raises:
        UnknownNameError: No installed package registers it; the message says what to install.
    """
    if all(entry.name != name for entry in registry.entries("spaces")):
        advice = plugin_hints.advice_for(name, "spaces")
        raise UnknownNameError("space", name, registry.names("spaces"), advice)
    return registry.load("spaces", name)


@dataclass(frozen=True, kw_only=True)
class StoredByName(Config):
    """A config that is stored with the registered name of its class; the base of `Space`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Create a space from its stored form, ``{"name": …, "config": {…}}``.

        Raises:
            UnknownNameError: No installed package registers a space with this name; the message
                names its package if genzoo's own list has it.
            ConfigError: It does not have this class, or its config is refused.
        """
        given = stored(values)
        found = registered(given.name)
        if not issubclass(found, cls):
            raise ConfigError(f"The space {given.name!r} is not a {cls.__name__}.")
        return cast("Self", found.from_fields(given.config))

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        """Create a space of this class from plain values of its fields.

        Raises:
            ConfigError: An unknown or missing key, a wrong type, a value out of bounds.
        """
        return super().from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, without fields that have their defaults."""
        values = super().to_dict()
        needed = required_fields(type(self))
        usual = {f: d for f, d in self._defaults().items() if f not in needed}
        given = {k: v for k, v in values.items() if k in needed or v != usual.get(k)}
        return {"name": registry.name_of("spaces", type(self)), "config": given}

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the plain defaults of the fields."""
        fields = cls.__dataclass_fields__.values()
        made = {f.name: getattr(cls, f.name, None) for f in fields}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in made.items()}
