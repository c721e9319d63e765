"""Checks of a model's name, of its config, and of the kinds of data that it declares."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from genzoo import registry
from genzoo.building import build_empty
from genzoo.config import Bounds, Config, field_types
from genzoo.errors import ConfigError, GenzooError
from genzoo.spec import DataSpec
from genzoo.testing.cases import KINDS, Case, demand

_MAX_TENSORS = 10_000
_MAX_LENGTH = 2**16


def check_registered(case: Case) -> None:
    """The class is found by its name, and its name by the class."""
    demand(registry.name_of("models", case.cls) == case.name, "The class has another name.")
    known = bool(case.cls.kind) and case.cls.kind <= KINDS
    demand(known, f"kind is {case.cls.kind}, which must be some of {sorted(KINDS)}.")
    demand(bool(case.cls.default_stages()), "default_stages() is empty.")


def check_config_closed(case: Case) -> None:
    """The config is a frozen, bounded schema that round-trips and refuses what it knows not."""
    config, _ = case.cls.example()
    demand(isinstance(config, Config), f"Config must subclass genzoo.Config: {type(config)}.")
    frozen = type(config).__dataclass_params__.frozen  # type: ignore[attr-defined]
    demand(frozen, "The config must be frozen.")
    again = case.cls.Config.from_dict(config.to_dict())
    demand(again == config, f"The config does not round-trip: {config} became {again}.")
    try:
        case.cls.Config.from_dict({**config.to_dict(), "no_such_field": 1})
    except ConfigError:
        pass
    else:
        demand(False, "The config accepts a field that it does not have.")
    unbounded = [n for n, kind in field_types(type(config)).items() if _unbounded_int(kind)]
    demand(not unbounded, f"Whole numbers without Bounds: {', '.join(unbounded)}.")


def check_config_bounds(case: Case) -> None:
    """Every bound of every field holds from both sides, and what it lets through can be built."""
    config, _ = case.cls.example()
    values = config.to_dict()
    for name, kind in field_types(type(config)).items():
        for inside, outside in _edges(kind, values[name]):
            _demand_refused(case, {**values, name: outside}, name)
            _demand_buildable(case, {**values, name: inside}, name)


def check_kinds(case: Case) -> None:
    """For every kind of data that the model declares, `configure` gives a config that fits it."""
    spec = case.data().spec
    kinds: list[Any] = sorted(case.cls.kind)
    for kind in kinds:
        y = spec.y and dataclasses.replace(spec.y, kind=kind)
        given: DataSpec = dataclasses.replace(spec, kind=kind, y=y)
        try:
            config = case.cls.configure(given)
            build_empty(case.cls, config, max_tensors=_MAX_TENSORS).check_data(given)
        except GenzooError as error:
            demand(
                False, f"It declares the kind {kind!r}, but cannot be configured for it: {error}"
            )


def _demand_refused(case: Case, values: dict[str, Any], name: str) -> None:
    try:
        case.cls.Config.from_dict(values)
    except ConfigError:
        return
    demand(False, f"The field {name!r} takes {values[name]!r}, which is out of its bounds.")


def _demand_buildable(case: Case, values: dict[str, Any], name: str) -> None:
    """A config at its edge builds, or is refused by an error of ours: never by a raw one."""
    try:
        config = case.cls.Config.from_dict(values)
        build_empty(case.cls, config, max_tensors=_MAX_TENSORS)
    except GenzooError:
        return
    except Exception as error:  # noqa: BLE001 - whatever a constructor raises is the finding
        what = f"{type(error).__name__}: {error}"
        demand(False, f"With {name}={values[name]!r}, in its bounds, it does not build: {what}.")


def _edges(kind: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield, for each bound within a type, a value inside it and one just outside.

    Inside are the lower edge and the example's own value: a model of the greatest size is nothing
    to build in a test.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        for bounds in (mark for mark in inner[1:] if isinstance(mark, Bounds)):
            yield from _edges_of(bounds, inner[0], value)
        yield from _edges(inner[0], value)
    elif origin is tuple and value:
        for index, one in enumerate(inner[:1] if inner[-1] is Ellipsis else inner):
            for found in _edges(one, value[index]):
                yield _with(value, index, found[0]), _with(value, index, found[1])
    elif origin in (Union, types.UnionType):
        for choice in inner:
            yield from _edges(choice, value)


def _edges_of(bounds: Bounds, kind: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    number = next((n for n in (int, float) if n is kind or n in get_args(kind)), None)
    if number is None:
        yield from _lengths(bounds, value)
        return
    for end, beyond in ((bounds.low, -math.inf), (bounds.high, math.inf)):
        if math.isfinite(end):
            step = 1 if beyond > 0 else -1
            outside = math.nextafter(end, beyond) if number is float else end + step
            yield (number(end) if beyond < 0 else value), number(outside)


def _lengths(bounds: Bounds, value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what is too short and what is too long, where such a value is small enough."""
    if not value:
        return
    if bounds.low > 0:
        yield value, value[:0]
    if bounds.high < _MAX_LENGTH:
        yield value, value * (int(bounds.high) // len(value) + 1)


def _with(values: Any, index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


def _unbounded_int(kind: Any) -> bool:
    """Whether a type lets through whole numbers of any size."""
    if kind is int:
        return True
    if get_origin(kind) is not Annotated:
        return any(_unbounded_int(inner) for inner in get_args(kind) if get_origin(kind))
    inner, *marks = get_args(kind)
    bounded = any(isinstance(mark, Bounds) for mark in marks)
    of_a_number = bounded and get_origin(inner) is not tuple
    return not of_a_number and _unbounded_int(inner)
