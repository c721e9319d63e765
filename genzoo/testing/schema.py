"""Checks of a model's name, its config and its declared spaces."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from genzoo import registry
from genzoo.config import Bounds, Config, field_types, shown
from genzoo.errors import ConfigError, GenzooError
from genzoo.meta_init import build_empty
from genzoo.spaces import Space
from genzoo.spec import DataInfo
from genzoo.testing.bound_cases import edges
from genzoo.testing.cases import Case, CheckFailed, demand

_MAX_TENSORS = 10_000


def check_registered(case: Case) -> None:
    """The class and its registered name belong together."""
    demand(registry.name_of("models", case.cls) == case.name, "The class has another name.")
    for name in ("event_spaces", "condition_spaces"):
        found = getattr(case.cls, name, None)
        known = isinstance(found, tuple) and all(
            isinstance(space, type) and issubclass(space, Space) for space in found
        )
        demand(known, f"{name} is {found}; it must be a tuple of classes of genzoo.plugin.Space.")
    demand(bool(case.cls.event_spaces), "event_spaces is empty.")
    stages = case.cls.default_stages(case.cls.example()[0])
    demand(bool(stages), "default_stages() is empty.")


def check_config_closed(case: Case) -> None:
    """Configs are frozen, bounded schemas that round-trip and refuse unknown fields."""
    config, _ = case.cls.example()
    demand(isinstance(config, case.cls.Config), f"The example's config is a {type(config)}.")
    for config in _configs(case):
        title = type(config).__name__
        demand(isinstance(config, Config), f"{title} must subclass genzoo.plugin.Config.")
        frozen = type(config).__dataclass_params__.frozen  # type: ignore[attr-defined]
        demand(frozen, f"{title} must be frozen.")
        again = type(config).from_dict(config.to_dict())
        demand(again == config, f"{title} does not round-trip: {config} became {again}.")
        _demand_closed(config)
        kinds = field_types(type(config)).items()
        unbounded = [name for name, kind in kinds if _unbounded(kind)]
        demand(not unbounded, f"{title} has numbers without Bounds: {', '.join(unbounded)}.")


def check_config_bounds(case: Case) -> None:
    """Every bound of every field holds from both sides, and allowed values can be built."""
    for config in _configs(case):
        values, of_model = config.to_dict(), isinstance(config, case.cls.Config)
        for name, kind in field_types(type(config)).items():
            for edge in edges(kind, values[name]):
                _demand_refused(type(config), {**values, name: edge.beyond}, name)
                at = _taken(type(config), {**values, name: edge.at}, name)
                if at is not None and edge.small and of_model:
                    _demand_buildable(case, at, name)


def _configs(case: Case) -> Iterator[Config]:
    """Yield the configs of the model, its samplers and its objectives."""
    config, _ = case.cls.example()
    yield config
    own, preview = case.cls.default_sampler(config), case.cls.preview_sampler(config)
    yield registry.config_of("samplers", own)
    if preview != own:
        yield registry.config_of("samplers", preview)
    for stage in case.stages():
        yield registry.config_of("objectives", stage.objective)


def _demand_closed(config: Config) -> None:
    """Raise unless a config with an unknown field is refused."""
    try:
        type(config).from_dict({**config.to_dict(), "no_such_field": 1})
    except ConfigError:
        return
    demand(False, f"{type(config).__name__} accepts a field that it does not have.")


def check_spaces(case: Case) -> None:
    """For every declared space, `configure` gives a config that fits it."""
    info, field = case.data().info, case.cls.event_field
    shape, conditions = info[field].event_shape, tuple(case.model().conditions)
    for space in filter(_is_concrete, case.cls.event_spaces):
        given = info.with_field(field, space.example(shape))
        if field != "x" or "y" not in info:
            _demand_configured(case, given, conditions)
        else:
            _demand_configured(case, given.with_field("y", space.example(shape)), conditions)
    for space in filter(_is_concrete, case.cls.condition_spaces):
        others = tuple(name for name in conditions if name in case.cls.needs)
        given = info.with_field("extra", space.example(info["x"].event_shape))
        if not others:
            _demand_configured(case, given, ("extra",))


def _is_concrete(space: type[Space]) -> bool:
    return not inspect.isabstract(space)


def _demand_configured(case: Case, info: DataInfo, conditions: tuple[str, ...]) -> None:
    given = {name: space.describe() for name, space in info.fields.items()}
    try:
        config = case.cls.configure(info, conditions)
        build_empty(case.cls, config, max_tensors=_MAX_TENSORS).check_data(info)
    except GenzooError as error:
        demand(
            False,
            f"It declares spaces that it cannot be configured for: {given}, conditions "
            f"{list(conditions)}: {error}",
        )


def _demand_refused(kind: type[Config], values: dict[str, Any], name: str) -> None:
    try:
        kind.from_dict(values)
    except ConfigError:
        return
    demand(False, f"The field {name!r} takes {shown(values[name])}, which is out of its bounds.")


def _taken(kind: type[Config], values: dict[str, Any], name: str) -> Config | None:
    """Return the config at a bound; None if it is refused because of other fields."""
    try:
        return kind.from_dict(values)
    except GenzooError:
        return None
    except Exception as error:  # Any error of a config is a failure.
        raise _failure(name, values[name], "its config fails", error) from error


def _demand_buildable(case: Case, config: Config, name: str) -> None:
    """A config at a bound builds, or is refused by an error of genzoo."""
    try:
        build_empty(case.cls, config, max_tensors=_MAX_TENSORS)
    except GenzooError as refusal:
        cause = refusal.__cause__  # Loading reports other errors as a damaged config.
        if isinstance(cause, Exception) and not isinstance(cause, GenzooError):
            raise _failure(name, getattr(config, name), "it does not build", cause) from cause
    except Exception as error:  # Any error is a failure.
        raise _failure(name, getattr(config, name), "it does not build", error) from error


def _failure(name: str, value: Any, how: str, error: Exception) -> CheckFailed:
    what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return CheckFailed(f"With {name}={shown(value)}, in its bounds, {how}: {what}.")


def _unbounded(kind: Any, *, bounded: bool = False) -> bool:
    """Whether a type allows integers of any size, or lists of any length."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _unbounded(inner[0], bounded=any(isinstance(mark, Bounds) for mark in inner[1:]))
    if origin in (Union, types.UnionType):
        return any(_unbounded(choice, bounded=bounded) for choice in inner)
    if origin is Literal:
        return False
    if isinstance(kind, type) and issubclass(kind, Config):
        return any(map(_unbounded, field_types(kind).values()))
    endless = kind is int or (origin is tuple and Ellipsis in inner)
    return (endless and not bounded) or any(map(_unbounded, inner))
