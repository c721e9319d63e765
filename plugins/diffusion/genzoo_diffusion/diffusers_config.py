"""Networks of other libraries, built from checked configs with plain values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.plugin import ConfigError, foreign_errors, shown, suggest

_MOST = 2**16
"""The largest number, and the longest list, in such a config."""
_Plain = (str, int, float, bool, type(None))


def build(cls: Any, config: Mapping[str, Any]) -> Any:
    """Return a network of a class of diffusers.

    Raises:
        ConfigError: A field is unknown, a value is not plain, or values do not fit together.
    """
    check_fields(cls.__name__, config, list(inspect.signature(cls.__init__).parameters)[1:])
    lists = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in config.items()}
    failed, remedy = f"{cls.__name__} cannot be built", "Its lists need one entry for each level."
    with foreign_errors(ConfigError, failed, remedy):
        return cls(**lists)


def check_fields(owner: str, config: Mapping[str, Any], known: Sequence[str]) -> None:
    """Check the arguments of a class of another library.

    Arguments:
        owner: The name of the class.
        config: Its fields.
        known: The names of its arguments.

    Raises:
        ConfigError: A field is unknown, or a value is not plain.
    """
    for name, value in config.items():
        if name not in known:
            raise ConfigError(f"{owner} has no field {shown(name)}. {suggest(name, known)}")
        values = value if isinstance(value, (list, tuple)) else [value]
        plain = all(isinstance(v, _Plain) for v in values) and len(values) <= _MOST
        if not plain or any(isinstance(v, (int, float)) and abs(v) > _MOST for v in values):
            raise ConfigError(f"{owner}: {name} cannot be {shown(value)}.")
