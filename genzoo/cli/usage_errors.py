"""Errors of a command's arguments, on one line with the remedy."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence

from genzoo.cli.arguments import Peeked
from genzoo.cli.flag_table import MANY, Flag, flags_of, is_flag, normal
from genzoo.errors import suggest

_FIRST = {"--sampler": "--sampler NAME", "--data": "--data DATA"}
_Given = tuple[str, Flag | None, list[str]]
"""An argument with its flag and values; an argument without a flag is its own value."""


def usage_error(args: Sequence[str], arguments: type, command: str, peeked: Peeked) -> str:
    """Return the error of a command's arguments, or "".

    Arguments:
        args: The arguments after the command's name.
        arguments: The dataclass of the arguments.
        command: The command.
        peeked: The names in the arguments.
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
    """Yield the arguments in order: flags with their values, and arguments without a flag."""
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
    """Return the flag with a name; a switch has a second name that turns it off."""
    section, dot, last = name.removeprefix("--").rpartition(".")
    switch = table.get(f"--{section}{dot}{last.removeprefix('no-')}")
    return table.get(name) or (switch if switch and switch.num_values == 0 else None)


def _error(flag: Flag, texts: Sequence[str]) -> str:
    """Return the error of a flag's values, or ""."""
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
    """Return flags with similar names as a question."""
    flags = [flag for flag, entry in table.items() if not entry.positional]
    near = difflib.get_close_matches(name, flags, n=3, cutoff=0.75)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _remedy(flag: str, table: Mapping[str, Flag], command: str, peeked: Peeked) -> str:
    """Return what a section of flags needs if that is not given; else ""."""
    component = flag.rpartition(".")[0]
    named = component.removeprefix("--").replace("-", "_") in peeked.named
    if "." in component and component in table and not named and not _has_fields(component, table):
        return f" Give {component} NAME too: its fields are flags then."
    section, dot, _ = flag.partition(".")
    if (
        not dot
        or _has_fields(section, table)
        or command not in ("train", "sample", "evaluate", "compare")
    ):
        return ""
    if "recipe" in peeked.flags:
        return " A recipe is complete: change the file instead."
    if section == "--model" and "from" in peeked.flags:
        return " The model of --from has its config, which its weights fix."
    if command == "train" and not peeked.positional and "from" not in peeked.flags:
        return " Give the model's name first: genzoo train NAME --data DATA --output DIR."
    if section in _FIRST and section.removeprefix("--") not in peeked.flags:
        return f" Give {_FIRST[section]} too: its fields are flags then."
    return ""


def _has_fields(section: str, table: Mapping[str, Flag]) -> bool:
    return any(name.startswith(f"{section}.") for name in table)
