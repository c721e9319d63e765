"""What is wrong with a command's arguments, in one line with the remedy."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence

from genzoo.cli.arguments import Peeked
from genzoo.cli.flag_table import MANY, Flag, flags_of, is_flag, normal
from genzoo.errors import suggest

_FIRST = {"--sampler": "--sampler NAME", "--data": "--data DATA"}
_Given = tuple[str, Flag | None, list[str]]
"""An argument, the flag that it is and its values; of an argument without a flag, itself."""


def usage_error(args: Sequence[str], arguments: type, command: str, peeked: Peeked) -> str:
    """Return what is wrong with the arguments of a command, or "" if nothing is.

    Arguments:
        args: What stands behind the command's name.
        arguments: The dataclass that they fill.
        command: The command.
        peeked: What the arguments name.
    """
    table = {flag.name: flag for flag in flags_of(arguments)}
    given, see = list(_given(args, table)), f"See genzoo {command} --help."
    for argument, flag, texts in given:
        if flag is None and is_flag(argument):
            remedy = _remedy(argument, table, command, peeked)
            return f"There is no flag {argument}.{remedy or f'{_near(argument, table)} {see}'}"
        if flag is None:
            return f"{argument!r} is one value too many. {see}"
        if error := _error(flag, texts):
            return f"{flag.name} {error} {see}"
    names = {flag.name for _, flag, _ in given if flag is not None}
    missing = [name for name, flag in table.items() if flag.required and name not in names]
    return f"genzoo {command} needs {', '.join(missing)}. {see}" if missing else ""


def _given(args: Sequence[str], table: Mapping[str, Flag]) -> Iterator[_Given]:
    """Yield what is given, in order: each flag with its values, and what stands alone."""
    alone = [flag for flag in table.values() if flag.positional]
    left = [argument for argument in args if argument not in ("--help", "-h")]
    while left:
        argument, joined, value = left.pop(0).partition("=")
        if not is_flag(argument):
            flag = alone[0] if alone else None
            alone = alone if flag and flag.num_values == MANY else alone[1:]
            yield argument + joined + value, flag, [argument + joined + value]
            continue
        flag = _find(normal(argument), table)
        texts = [value] if joined else list(itertools.takewhile(lambda t: not is_flag(t), left))
        texts = texts[: flag.num_values] if flag and not joined else texts
        left = left if joined else left[len(texts) :]
        yield normal(argument), flag, texts


def _find(name: str, table: Mapping[str, Flag]) -> Flag | None:
    """Return the flag of a name; a switch has another name that turns it off."""
    section, dot, last = name.removeprefix("--").rpartition(".")
    switch = table.get(f"--{section}{dot}{last.removeprefix('no-')}")
    return table.get(name) or (switch if switch and switch.num_values == 0 else None)


def _error(flag: Flag, texts: Sequence[str]) -> str:
    """Return what is wrong with the values of a flag, or "" if nothing is."""
    num, value = flag.num_values, " ".join(texts)
    if num == 0:
        return f"takes no value, got {value!r}." if texts else ""
    if len(texts) < num != MANY:
        return f"needs {'a value' if num == 1 else f'{num} values'}."
    if flag.takes(texts):
        return ""
    if flag.choices:
        return f"got {value!r}. {suggest(value, flag.choices)}"
    return f"takes {flag.in_words}, got {value!r}."


def _near(name: str, table: Mapping[str, Flag]) -> str:
    """Return the flags of near names as a question."""
    flags = [flag for flag, entry in table.items() if not entry.positional]
    near = difflib.get_close_matches(name, flags, n=3, cutoff=0.75)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _remedy(flag: str, table: Mapping[str, Flag], command: str, peeked: Peeked) -> str:
    """Return what makes a section of flags, where what it needs is not given; "" elsewhere."""
    section, dot, _ = flag.partition(".")
    known = any(name.startswith(f"{section}.") for name in table)
    if not dot or known or command not in ("train", "sample", "evaluate"):
        return ""
    if "recipe" in peeked.flags:
        return " A recipe says everything: change the file instead."
    if command == "train" and not peeked.positional:
        return " Give the model's name first: genzoo train NAME --data DATA --output DIR."
    if section in _FIRST and section.removeprefix("--") not in peeked.flags:
        return f" Give {_FIRST[section]} too: its fields are flags then."
    return ""
