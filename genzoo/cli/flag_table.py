"""The flags of a command, derived from the types of its arguments' fields."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

MANY = 10**6
"""The number of values of a flag that takes any number of them."""
_FLAG = re.compile(r"-[^\d.]")
_WORDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers")}


@dataclass(frozen=True)
class Flag:
    """A flag of a command, or an argument without a flag.

    Arguments:
        name: The flag, such as ``--data.limit``, or the name in the help of an argument without a
            flag, such as ``MODEL``.
        kind: The annotated type of its values.
        required: Whether it must be given.
        positional: Whether it is an argument without a flag.
    """

    name: str
    kind: Any
    required: bool
    positional: bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it accepts, or nothing if it accepts others too."""
        kinds = _alternatives(self.kind)
        only = kinds[0] if len(kinds) == 1 else None
        return tuple(map(str, get_args(only))) if get_origin(only) is Literal else ()

    @property
    def in_words(self) -> str:
        """The description of its values, such as ``a whole number or auto``."""
        return " or ".join(map(_in_words, _alternatives(self.kind)))

    @property
    def num_values(self) -> int:
        """The number of values per use; `MANY` for any number."""
        return count(self.kind)

    def takes(self, texts: Sequence[str]) -> bool:
        """Return whether the command line can read texts as its values."""
        made = dataclasses.make_dataclass("Value", [("value", _plain(self.kind))])
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                tyro.cli(made, args=["--value", *texts], config=(tyro.conf.AvoidSubcommands,))
            except SystemExit:
                return False
        return True


def flags_of(arguments: type, prefix: str = "") -> Iterator[Flag]:
    """Yield the flags of a dataclass, including those of its sections.

    Arguments:
        arguments: The dataclass.
        prefix: The prefix of the names of its fields, such as ``data.``.
    """
    kinds = typing.get_type_hints(arguments, include_extras=True)
    for field in dataclasses.fields(arguments):
        kind, default, factory = kinds[field.name], field.default, field.default_factory
        if factory is not dataclasses.MISSING:
            default = factory()
        hidden = tyro.conf.Suppress in _marks(kind) or any(map(_is_table, _alternatives(kind)))
        name = f"{prefix}{normal(next(_given(kind, 'name'), field.name))}"
        if dataclasses.is_dataclass(default):
            yield from flags_of(type(default), f"{name}.")
        elif not hidden:
            required = not prefix and default is dataclasses.MISSING
            positional = tyro.conf.Positional in _marks(kind)
            shown = next(_given(kind, "metavar"), name) if positional else f"--{name}"
            yield Flag(shown, kind, required, positional)


def is_flag(argument: str) -> bool:
    """Return whether an argument is a flag; a negative number is a value."""
    return _FLAG.match(argument) is not None


def normal(flag: str) -> str:
    """Return the spelling of a flag in the help."""
    return flag.replace("_", "-")


def count(kind: Any) -> int:
    """Return the number of values of a flag with this type.

    >>> count(bool), count(int | None), count(tuple[int, int])
    (0, 1, 2)
    """
    if _plain(kind) is bool:
        return 0
    if tyro.conf.UseAppendAction in _marks(kind):
        return 1
    counts = {_num_values(one) for one in _alternatives(kind)}
    return counts.pop() if len(counts) == 1 else MANY


def _in_words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin is tuple:
        num = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        return num + _WORDS.get(_plain(inner[0]), ("", "values"))[1]
    return _WORDS.get(kind, ("a value",))[0]


def _num_values(kind: Any) -> int:
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return MANY if inner[-1] is Ellipsis else sum(max(1, count(one)) for one in inner)
    return MANY if _is_table(kind) else 1


def _is_table(kind: Any) -> bool:
    """Return whether values consist of named values, which only a recipe can give."""
    origin = get_origin(kind)
    return dataclasses.is_dataclass(kind) or (
        isinstance(origin, type) and issubclass(origin, Mapping)
    )


def _alternatives(kind: Any) -> list[Any]:
    """Return the types that a type allows, without markers and without None."""
    plain = _plain(kind)
    if get_origin(plain) in (Union, types.UnionType):
        return [one for inner in get_args(plain) for one in _alternatives(inner)]
    return [] if plain is types.NoneType else [plain]


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _marks(kind: Any) -> Sequence[Any]:
    return get_args(kind)[1:] if get_origin(kind) is Annotated else ()


def _given(kind: Any, name: str) -> Iterator[str]:
    """Yield the values of a name in `tyro.conf.arg` of a flag."""
    found = (getattr(mark, name, None) for mark in _marks(kind))
    return (text for text in found if text)
