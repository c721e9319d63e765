"""What is known about a command's arguments before the flags are known.

The flags of a command depend on the names in its arguments. So the arguments are scanned once
beforehand for the model and for flags that name classes. The types of the flags tell which
arguments are values of flags: a switch takes none, a pair of numbers two.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.cli.arguments import Peeked, TrainArguments
from genzoo.cli.flag_table import count, flags_of, is_flag, normal
from genzoo.config import field_types
from genzoo.data import DataConfig, find_source
from genzoo.entry_points import OURS
from genzoo.hub.reference import is_repository
from genzoo.training.config import TrainerConfig

_NAMES = ("data", "data-y", "objective", "sampler", "recipe", "revision", "from", "input")
_GROUPS = {"objective": "objectives", "sampler": "samplers"}
_CHOICE = re.compile(r"trainer\.(lr-scheduler|optimizers\.[^.]+)")
"""The trainer's flags that name classes."""


def peek(args: Sequence[str], arguments: type) -> Peeked:
    """Return what is known.

    Arguments:
        args: The arguments after the command's name.
        arguments: The command's fixed arguments.
    """
    found = Peeked(flags=_named(args), metrics=_values_of("--metrics", args))
    sure, doubtful = _no_values(args, arguments, found)
    is_train = arguments is TrainArguments
    likely = registry.names("models").__contains__ if is_train else _is_there
    positional = next(iter([*sure, *filter(likely, doubtful)]), "")
    return Peeked(positional, found.flags, found.metrics)


def _count(flag: str, fixed: Mapping[str, int], peeked: Peeked) -> int | None:
    """Return the number of values of ``--name`` or ``--section.name``; None if unknown.

    Arguments:
        flag: The flag.
        fixed: The number of values of each fixed flag.
        peeked: The names in the arguments, whose classes have further flags.

    Raises:
        GenzooError: The class of its section does not exist.
    """
    section, dot, name = flag.removeprefix("--").partition(".")
    if not dot:
        return fixed.get(section.removeprefix("no-"), 0 if flag in ("-h", "--help") else None)
    fields = _fields_of(section, name, peeked)
    name = name.rpartition(".")[2].replace("-", "_")
    kind = fields.get(name, fields.get(name.removeprefix("no_")))
    return None if kind is None else count(kind)


def _fields_of(section: str, name: str, peeked: Peeked) -> Mapping[str, Any]:
    """Return the types of the fields of a section, as far as they are known."""
    named = peeked.flags.get(section)
    if section == "trainer":
        return _fields_of_trainer(name, peeked)
    if section in ("data", "data-y"):
        return field_types(find_source(named)[0].Config if named else DataConfig)
    if section in _GROUPS and named:
        return field_types(registry.load(_GROUPS[section], named).Config)
    if section in peeked.metrics:
        return field_types(registry.load("metrics", section).Config)
    return {}


def _fields_of_trainer(name: str, peeked: Peeked) -> Mapping[str, Any]:
    """Return the types of fields such as ``lr-scheduler.FIELD``."""
    part, dot, _ = name.rpartition(".")
    if not dot:
        return field_types(TrainerConfig)
    if part == "optimizers":
        return {name.rpartition(".")[2].replace("-", "_"): str}
    group = "lr_schedulers" if part == "lr-scheduler" else "optimizers"
    named = peeked.flags.get(f"trainer.{part}")
    # The class depends on the model, which is not known yet, so all of genzoo's are considered.
    ours = [entry.name for entry in registry.entries(group) if entry.distribution == OURS]
    found = [registry.load(group, one).Config for one in ([named] if named else ours)]
    return {key: kind for config in found for key, kind in field_types(config).items()}


def _no_values(
    args: Sequence[str], arguments: type, peeked: Peeked
) -> tuple[list[str], list[str]]:
    """Return the arguments that are not values of flags, and those that may not be."""
    plain = [flag for flag in flags_of(arguments) if not flag.positional]
    fixed = {flag.name.removeprefix("--"): flag.num_values for flag in plain}
    sure: list[str] = []
    doubtful: list[str] = []
    left, unknown = 0, False
    for argument in args:
        flag, joined, _ = argument.partition("=")
        if is_flag(argument):
            num = 0 if joined else _count(normal(flag), fixed, peeked)
            left, unknown = num or 0, num is None
        elif left:
            left -= 1
        else:
            (doubtful if unknown else sure).append(argument)
    return sure, doubtful


def _named(args: Sequence[str]) -> dict[str, str]:
    """Return the values of the flags that name classes, ``--flag value`` or ``--flag=value``."""
    found = {}
    for argument, after in itertools.zip_longest(args, args[1:], fillvalue=""):
        flag, joined, value = argument.partition("=")
        name = normal(flag).removeprefix("--")
        is_choice = name in _NAMES or _CHOICE.fullmatch(name)
        if flag.startswith("--") and is_choice and (joined or after):
            found[name] = value if joined else after
    return found


def _values_of(flag: str, args: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments after a flag, up to the next flag."""
    if flag not in args:
        return ()
    rest = args[args.index(flag) + 1 :]
    return tuple(itertools.takewhile(lambda argument: not argument.startswith("-"), rest))


def _is_there(name: str) -> bool:
    return Path(name).exists() or is_repository(name)
