"""Configs: frozen dataclasses with checked values only.

A config is a closed schema. Its fields have types and bounds. Every value is always checked when
the config is made, in Python and from a file, so an unknown key, a wrong type or a size of 10¹² is
an error before anything is built.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
import numbers
import reprlib
import sys
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from genzoo import markup
from genzoo.errors import ConfigError, suggest

_LONG = 400


class Mark(abc.ABC):
    """Abstract base class of annotations that restrict the values of a field beyond their type."""

    @abc.abstractmethod
    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if ``value``, which has the field's type, is not allowed.

        Arguments:
            value: The value, not None.
            where: The field's name, for the error.
        """


@dataclasses.dataclass(frozen=True)
class Bounds(Mark):
    """Bounds (closed) of a number, or of the length of a tuple or text, as an annotation.

    >>> Annotated[int, Bounds(1, 65536)]
    typing.Annotated[int, Bounds(low=1, high=65536)]
    """

    low: float = -math.inf
    high: float = math.inf
    of: str = dataclasses.field(default="", repr=False)
    """What a tuple holds, for the error, such as "widths"."""

    def check(self, value: Any, where: str) -> None:
        """Raise ConfigError if ``value``, or its length, is out of bounds."""
        size = value if isinstance(value, (int, float)) else len(value)
        if not self.low <= size <= self.high:
            if self.of:
                raise ConfigError(
                    f"{where}: give {self.low} to {self.high} {self.of}, got {shown(value)}."
                )
            what = "" if size is value else "a length "
            raise ConfigError(
                f"{where} must be {what}in [{self.low}, {self.high}], got {shown(value)}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Abstract base class of configs; subclass it as a frozen, keyword-only dataclass.

    A field that may be None must have the default None, because recipes leave out None.

    Raises:
        ConfigError: A value of the wrong type or out of its bounds.
    """

    _title: ClassVar[str] = ""
    """The prefix of a field's name in errors, if it is not the class's name."""
    _short: ClassVar[str] = ""
    """The field that a text in place of the config sets; empty if that is not allowed."""

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            object.__setattr__(self, name, _coerce(kind, getattr(self, name), self._where(name)))

    @classmethod
    def _where(cls, name: str) -> str:
        """Return what errors call a field."""
        return f"{cls._title or f'{cls.__name__}.'}{name}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> typing.Self:
        """Create a config from plain values, as read from JSON or TOML.

        Raises:
            ConfigError: An unknown or missing key, a wrong type, a value out of bounds.
        """
        _check_keys(cls, values)
        return cls(**values)

    def _repr_html_(self) -> str:
        """Return the fields that are set as a table, and the others below it."""
        values = {name: repr(getattr(self, name)) for name in field_types(type(self))}
        default = {f.name: default_of(f) for f in dataclasses.fields(self)}
        given = {n: v for n, v in values.items() if getattr(self, n) != default[n]}
        others = "\n".join(f"{n} = {v}" for n, v in values.items() if n not in given)
        title = f"<strong>{markup.escaped(type(self).__name__)}</strong>"
        rest = markup.folded("defaults", others) if others else ""
        return f"<div>{title}{markup.facts(given)}{rest}</div>"

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain values that JSON and TOML can hold."""
        return {name: plain(getattr(self, name)) for name in field_types(type(self))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoFields(Config):
    """The config of a class without values."""


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    C = TypeVar("C", bound=Config, default=Any)
else:  # Python has defaults of type variables from 3.13 on.
    C = typing.TypeVar("C", bound=Config)


def field_types(config: type[Config]) -> Mapping[str, Any]:
    """Return the resolved type of every field, with its bounds."""
    key: Any = config  # Classes are hashable, even if type checkers do not know it.
    return _field_types(key)


@functools.cache
def _field_types(config: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(config, include_extras=True)
    found = {field.name: hints[field.name] for field in dataclasses.fields(config)}
    return types.MappingProxyType(found)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a dataclass's field; `dataclasses.MISSING` if it has none."""
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def required_fields(config: type[Config]) -> list[str]:
    """Return the names of the fields without a default."""
    missing = dataclasses.MISSING
    fields = dataclasses.fields(config)
    return [f.name for f in fields if f.default is missing and f.default_factory is missing]


def converted(config: type[Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return some fields' values, checked and converted as in a config that is made of them.

    Raises:
        ConfigError: An unknown key, a wrong type, a value out of bounds.
    """
    _check_known(config, values)
    types, where = field_types(config), config._where
    return {name: _coerce(types[name], value, where(name)) for name, value in values.items()}


def differences(new: Config, old: Config) -> dict[str, Any]:
    """Return the fields of ``new`` that differ from ``old``."""
    pairs = {name: (getattr(new, name), getattr(old, name)) for name in field_types(type(new))}
    return {name: value for name, (value, other) in pairs.items() if value != other}


def _check_keys(config: type[Config], values: Mapping[str, Any]) -> None:
    _check_known(config, values)
    missing = [name for name in required_fields(config) if name not in values]
    if missing:
        raise ConfigError(f"{config.__name__} needs a value for: {', '.join(missing)}.")


def _check_known(config: type[Config], values: Mapping[str, Any]) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{config.__name__} is made from named values, got {shown(values)}.")
    known = field_types(config)
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"{config.__name__} has no field {shown(key)} (given {shown(value)}). "
                f"{suggest(key, known)}"
            )


def plain(value: Any) -> Any:
    """Return a field's value as plain values that JSON and TOML can hold."""
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def _coerce(kind: Any, value: Any, where: str) -> Any:
    """Return ``value`` as ``kind``; only lists and integers are converted."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *others = get_args(kind)
        marks = [mark for mark in others if isinstance(mark, Mark)]
        value = _coerce(inner, value, where)
        for mark in marks:
            if value is not None:
                mark.check(value, where)
        return value
    if origin is Literal:
        return _coerce_literal(get_args(kind), value, where)
    if origin in (Union, types.UnionType):
        return _coerce_union(get_args(kind), value, where)
    if origin is tuple:
        return _coerce_tuple(get_args(kind), value, where)
    if origin is not None and issubclass(origin, Mapping):
        return _coerce_mapping(get_args(kind)[1], value, where)
    return _coerceplain(kind, value, where)


def _coerceplain(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is int and is_whole(value):
        return int(value)
    if isinstance(kind, type) and issubclass(kind, Config):
        if isinstance(value, str) and kind._short:
            value = {kind._short: value}
        return kind.from_dict(value) if isinstance(value, Mapping) else _exact(kind, value, where)
    if kind is float:
        return _coerce_float(value, where)
    return _exact(kind, value, where)


def _exact(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where} must be {_title(kind)}, got {shown(value)}.")
    return value


def _coerce_float(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ConfigError(f"{where} must be a number, got {shown(value)}.")
    number: Any = value if is_whole(value) else float(value)
    if not -sys.float_info.max <= number <= sys.float_info.max:
        raise ConfigError(f"{where} must be finite, got {shown(value)}.")
    return float(number)


def _coerce_literal(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    for choice in choices:
        if choice == value and type(choice) is type(value):
            return choice
    name = value if isinstance(value, str) else ""
    raise ConfigError(f"{where} got {shown(value)}. {suggest(name, map(str, choices))}")


def _coerce_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    errors = []
    for kind in (kind for kind in kinds if kind is not type(None)):
        try:
            return _coerce(kind, value, where)
        except ConfigError as error:
            errors.append(str(error))
    raise ConfigError(" Or: ".join(errors))


def _coerce_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        raise ConfigError(f"{where} must be a list of values, got {shown(value)}.")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ConfigError(f"{where} must hold {len(kinds)} values, got {shown(value)}.")
    # The values of a flag are not numbered where they are typed.
    names = [where if where.startswith("--") else f"{where}[{i}]" for i in range(len(value))]
    return tuple(map(_coerce, kinds, value, names))


def _coerce_mapping(kind: Any, value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(f"{where} must map names to values, got {shown(value)}.")
    return {key: _coerce(kind, item, f"{where}.{key}") for key, item in value.items()}


def is_whole(value: Any) -> bool:
    """Whether a value is an integer of Python or numpy; a bool is not.

    >>> import numpy
    >>> [is_whole(value) for value in (3, numpy.int64(3), 3.0, "3", True, numpy.bool_(True))]
    [True, True, False, False, False, False]
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def positive(name: str, value: Any) -> int:
    """Return a whole number of at least 1.

    Raises:
        ConfigError: It is not one.
    """
    if not is_whole(value) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, got {shown(value)}.")
    return int(value)


def shown(value: Any) -> str:
    """Return a value for a message, on one line and abbreviated."""
    return _Repr().repr(value)


def abridged(value: Any) -> Any:
    """Return plain values for people: texts over 400 characters are abbreviated.

    >>> abridged({"merges": "a" * 1000})["merges"][-22:]
    'a… of 1,000 characters'
    """
    if isinstance(value, Mapping):
        return {key: abridged(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [abridged(item) for item in value]
    if isinstance(value, str) and len(value) > _LONG:
        return f"{value[:_LONG]}… of {len(value):,} characters"
    return value


class _Repr(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """Return the number, or its size if Python would refuse to print it."""
        if x.bit_length() > 256:
            return f"a whole number of {x.bit_length()} bits"
        return super().repr_int(x, level)


def _title(kind: Any) -> str:
    names = {int: "a whole number", str: "a text", bool: "true or false"}
    return names.get(kind, f"a {getattr(kind, '__name__', kind)}")
