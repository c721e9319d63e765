"""The stored form of a space: its registered name and the fields that are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from genzoo import plugin_hints, registry
from genzoo.config import Bounds, Config, shown
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
