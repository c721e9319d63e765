"""Networks of diffusers by their own configs, whatever those say."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from genzoo import ConfigError
from genzoo.config import shown
from genzoo.errors import suggest

_MOST = 2**16
"""No number, and no list, in a config is larger."""
_Plain = (str, int, float, bool, type(None))


def build(cls: Any, config: Mapping[str, Any]) -> Any:
    """Return a network of a class of diffusers.

    Raises:
        ConfigError: A field that the class has not, or a value that is no plain one.
    """
    _check(cls, config)
    lists = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in config.items()}
    return cls(**lists)


def _check(cls: Any, config: Mapping[str, Any]) -> None:
    who, known = cls.__name__, list(inspect.signature(cls.__init__).parameters)[1:]
    for name, value in config.items():
        if name not in known:
            raise ConfigError(f"{who} has no field {shown(name)}. {suggest(name, known)}")
        values = value if isinstance(value, (list, tuple)) else [value]
        plain = all(isinstance(v, _Plain) for v in values) and len(values) <= _MOST
        if not plain or any(isinstance(v, (int, float)) and abs(v) > _MOST for v in values):
            raise ConfigError(f"{who}: {name} cannot be {shown(value)}.")
