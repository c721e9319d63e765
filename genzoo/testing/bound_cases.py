"""Cases for the bounds of config fields: a value on each bound and one just beyond."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from genzoo.config import Bounds, Config, field_types
from genzoo.errors import ConfigError

_MAX_LENGTH = 2**16


@dataclass(frozen=True)
class Edge:
    """One bound of a field.

    Arguments:
        at: A value on it, or as near as the example if that value would be long.
        beyond: A value just outside.
        small: Whether ``at`` is the lower bound; a model of the maximum size is too large for a
            test.
    """

    at: Any
    beyond: Any
    small: bool

    def within(self, values: Any, key: Any) -> Edge:
        """Return the case as a value of the field, inside a list or a dictionary."""
        return Edge(_with(values, key, self.at), _with(values, key, self.beyond), self.small)


def edges(kind: Any, value: Any) -> Iterator[Edge]:
    """Yield the bound cases of a type, at any depth.

    Arguments:
        kind: A field's type.
        value: The example's value, in the form of `Config.to_dict`.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        for bounds in (mark for mark in inner[1:] if isinstance(mark, Bounds)):
            yield from _edges_of(bounds, inner[0], value)
        yield from edges(inner[0], value)
    elif origin is tuple and value:
        for index, one in enumerate(inner[:1] if inner[-1] is Ellipsis else inner):
            yield from (edge.within(value, index) for edge in edges(one, value[index]))
    elif origin in (Union, types.UnionType):
        for choice in inner:
            yield from edges(choice, value)
    elif isinstance(kind, type) and issubclass(kind, Config):
        yield from _edges_of_config(kind, value)


def _edges_of_config(kind: type[Config], values: Any) -> Iterator[Edge]:
    """Yield the bound cases of a nested config, or of a default one if the example has none."""
    if not isinstance(values, dict):
        try:
            values = kind().to_dict()
        except ConfigError:  # It has no defaults.
            return
        except TypeError:
            return
    for name, inner in field_types(kind).items():
        yield from (edge.within(values, name) for edge in edges(inner, values.get(name)))


def _edges_of(bounds: Bounds, kind: Any, value: Any) -> Iterator[Edge]:
    number = next((n for n in (int, float) if n is kind or n in get_args(kind)), None)
    if number is None:
        yield from _lengths(bounds, kind, value)
        return
    for end, beyond in ((bounds.low, -math.inf), (bounds.high, math.inf)):
        if math.isfinite(end):
            step = 1 if beyond > 0 else -1
            outside = math.nextafter(end, beyond) if number is float else end + step
            yield Edge(number(end), number(outside), beyond < 0)


def _lengths(bounds: Bounds, kind: Any, value: Any) -> Iterator[Edge]:
    """Yield values that are too short or too long, if they are small enough."""
    value = value or _of_length_one(kind)
    if not value or isinstance(value, dict):
        return
    if bounds.low > 0:
        yield Edge(value[:1] * int(bounds.low), value[:1] * (int(bounds.low) - 1), True)
    if bounds.high < _MAX_LENGTH:
        yield Edge(value, value[:1] * (int(bounds.high) + 1), False)


def _of_length_one(kind: Any) -> Any:
    """Return a text or a list of one element; None if no element can be made."""
    for choice in (kind, *get_args(kind)):
        if choice is str:
            return "a"
        if get_origin(choice) is tuple:
            found = next(edges(get_args(choice)[0], None), None)
            return None if found is None else [found.at]
    return None


def _with(values: Any, key: Any, value: Any) -> Any:
    if isinstance(values, dict):
        return {**values, key: value}
    return [*values[:key], value, *values[key + 1 :]]
