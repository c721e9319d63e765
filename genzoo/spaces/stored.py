"""A space as a config file holds it: its registered name, and the fields that are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from genzoo import plugin_hints, registry
from genzoo.config import Bounds, Config, shown
from genzoo.errors import ConfigError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Stored(Config):
    """What stands in a config in a space's place."""

    name: Annotated[str, Bounds(1, 64)]
    """The registered name."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The fields of its config that are set."""


def stored(values: Any) -> Stored:
    """Return the stored form of a space, after a check of it.

    Raises:
        ConfigError: It has another form.
    """
    if not isinstance(values, Mapping) or "name" not in values:
        raise ConfigError(
            "A space is stored as {'name': …, 'config': {…}}, such as {'name': 'unit', "
            f"'config': {{'shape': [1, 28, 28]}}}}; got {shown(values)}."
        )
    return Stored.from_dict(values)


def registered(name: str) -> Any:
    """Return the class of space that is registered under a name.

    Raises:
        UnknownNameError: No installed package registers it; the message says what to install.
    """
    if all(entry.name != name for entry in registry.entries("spaces")):
        advice = plugin_hints.advice_for(name, "spaces")
        raise UnknownNameError("space", name, registry.names("spaces"), advice)
    return registry.load("spaces", name)
