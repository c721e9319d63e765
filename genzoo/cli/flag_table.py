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
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

from genzoo.cli.value_kinds import ValueKind
from genzoo.config import Bounds

MANY = 10**6
"""The number of values of a flag that takes any number of them."""
_FLAG = re.compile(r"-[^\d.]")
_NOUNS = {int: "whole number", float: "number", Path: "path", str: "text"}
_LARGE = 10**4
"""A greater bound says little to a reader."""


@dataclass(frozen=True)
class Flag:
    """A flag of a command, or an argument without a flag.

    Arguments:
        name: The flag, such as ``--data.limit``, or the name in the help of an argument without a
            flag, such as ``MODEL``.
        kind: The annotated type of its values.
        required: Whether it must be given.
        positional: Whether it is an argument without a flag.
        default: The value if it is not given.
        owner: The dataclass with its field.
        field: The field.
    """

    name: str
    kind: Any
    required: bool
    positional: bool
    default: Any
    owner: type
    field: str

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
    def type_in_words(self) -> str:
        """The type of its values for the help, such as ``whole number from 1``; "" of a switch.

        >>> from genzoo.cli.arguments import ExploreArguments
        >>> found = {flag.name: flag.type_in_words for flag in flags_of(ExploreArguments)}
        >>> found["--num"], found["--dimensions"]
        ('whole number from 2 to 200', '2 whole numbers')
        """
        named = next((mark for mark in _marks(self.kind) if isinstance(mark, ValueKind)), None)
        if named:
            return named.words
        if self.is_repeatable:
            return _noun(get_args(_plain(self.kind))[0], self.kind)
        return " or ".join(_noun(kind, self.kind) for kind in _alternatives(self.kind))

    @property
    def value_kind(self) -> ValueKind:
        """What its values are, for completion."""
        named = next((mark for mark in _marks(self.kind) if isinstance(mark, ValueKind)), None)
        paths = Path in _alternatives(self.kind)
        return named or ValueKind(self.type_in_words, paths="files" if paths else "")

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be given several times."""
        return tyro.conf.UseAppendAction in _marks(self.kind)

    def given(self, name: str) -> str:
        """Return a text that the annotation of the flag gives, such as its ``help``, or ""."""
        return next(_given(self.kind, name), "")

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


def flags_of(arguments: type, prefix: str = "", values: Any = None) -> Iterator[Flag]:
    """Yield the flags of a dataclass, including those of its sections.

    Arguments:
        arguments: The dataclass.
        prefix: The prefix of the names of its fields, such as ``data.``.
        values: An instance with the defaults; None for those of the dataclass.
    """
    kinds = typing.get_type_hints(arguments, include_extras=True)
    for field in dataclasses.fields(arguments):
        kind, default, factory = kinds[field.name], field.default, field.default_factory
        if values is not None:
            default = getattr(values, field.name)
        elif factory is not dataclasses.MISSING:
            default = factory()
        hidden = tyro.conf.Suppress in _marks(kind) or any(map(_is_table, _alternatives(kind)))
        name = f"{prefix}{normal(next(_given(kind, 'name'), field.name))}"
        if dataclasses.is_dataclass(default):
            yield from flags_of(type(default), f"{name}.", default)
        elif not hidden:
            required = not prefix and default is dataclasses.MISSING
            positional = tyro.conf.Positional in _marks(kind)
            shown = next(_given(kind, "metavar"), name) if positional else f"--{name}"
            yield Flag(shown, kind, required, positional, default, arguments, field.name)


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
        noun = _NOUNS.get(_plain(inner[0]))
        return f"{num}{noun}s" if noun else f"{num}values"
    return f"a {_NOUNS[kind]}" if kind in _NOUNS else "a value"


def _noun(kind: Any, marked: Any) -> str:
    """Return one of the types of a flag in words; "" of a switch."""
    if get_origin(kind) is Literal:
        texts = list(map(str, get_args(kind)))
        return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"
    if kind is bool:
        return ""
    words = _in_words(kind).removeprefix("a ")
    return f"{words}{_range(marked)}" if kind in (int, float) else words


def _range(kind: Any) -> str:
    """Return the bounds of a number in words, as far as they say something."""
    parts = [kind, *(get_args(kind) if not _marks(kind) else get_args(_plain(kind)))]
    marks = [mark for part in parts for mark in _marks(part) if isinstance(mark, Bounds)]
    low, high = (marks[0].low, marks[0].high) if marks else (-_LARGE - 1, _LARGE + 1)
    start = f" from {low:g}" if abs(low) <= _LARGE else ""
    return f"{start} to {high:g}" if start and high <= _LARGE else start


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
