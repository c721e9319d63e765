"""What is known about a command's arguments before the flags are known.

The flags of a command depend on the names in its arguments. So the arguments are scanned once
beforehand for the model and for flags that name classes. The types of the flags tell which
arguments are values of flags: a switch takes none, a pair of numbers two.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.cli.arguments import Peeked, TrainArguments
from genzoo.cli.components import Place, component_of, config_class, group_of
from genzoo.cli.flag_table import count, flags_of, is_flag, normal
from genzoo.config import Config, field_types
from genzoo.data import DataConfig, find_source
from genzoo.entry_points import OURS
from genzoo.hub.reference import is_repository
from genzoo.training.config import TrainerConfig

_NAMES = ("data", "data-y", "objective", "sampler", "recipe", "revision", "from", "input")
_STREAMING = ("data.streaming", "data-y.streaming")
_GROUPS = {"objective": "objectives", "sampler": "samplers"}
_OF_TRAINER = ("lr_schedulers", "optimizers")


def peek(args: Sequence[str], arguments: type) -> Peeked:
    """Return what is known.

    Arguments:
        args: The arguments after the command's name.
        arguments: The command's fixed arguments.
    """
    flags, named = _named(args)
    found = Peeked("", flags, _values_of("--metrics", args), named)
    sure, doubtful = _no_values(args, arguments, found)
    is_train = arguments is TrainArguments
    likely = registry.names("models").__contains__ if is_train else _is_there
    rest = list(filter(likely, doubtful))
    if is_train and not sure and len(rest) > 1:
        # One names the model, and others components: --model.autoencoder vae latent-ddpm.
        rest.sort(key=lambda name: not _explains(name, args, found))
    return dataclasses.replace(found, positional=next(iter([*sure, *rest]), ""))


def _explains(name: str, args: Sequence[str], peeked: Peeked) -> bool:
    """Whether every flag has its values without a name, if that is the model's."""
    sure, _ = _no_values(args, TrainArguments, dataclasses.replace(peeked, positional=name))
    return name in sure


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
    path, place = name.replace("-", "_").split("."), Place(section.replace("-", "_"), peeked.named)
    if section == "trainer" and path[0] == "optimizers":
        kinds = _inside("optimizers", "", path[2:], place.inside(path[0]).inside(path[1]))
    else:
        config = _config_of(section, peeked)
        kinds = _kinds(config, path, place) if config else iter(())
    kind = next(kinds, None)
    return None if kind is None else count(kind)


def _config_of(section: str, peeked: Peeked) -> type[Config] | None:
    """Return the class of the config of a section, if it is known."""
    named = peeked.flags.get(section)
    if section == "trainer":
        return TrainerConfig
    if section == "model" and peeked.positional:
        return config_class("models", peeked.positional)
    if section in ("data", "data-y"):
        streaming = f"{section.replace('-', '_')}.streaming" in peeked.named
        return find_source(named, {"streaming": streaming})[0].Config if named else DataConfig
    if section in _GROUPS and named:
        return config_class(_GROUPS[section], named)
    return config_class("metrics", section) if section in peeked.metrics else None


def _kinds(config: type[Config], path: Sequence[str], place: Place) -> Iterator[Any]:
    """Yield the possible types of a field, such as ``["lr_scheduler", "constant_share"]``."""
    name, *rest = path
    types = field_types(config)
    kind = types.get(name, types.get(name.removeprefix("no_")))
    if group := group_of(kind):
        own = component_of(config, {}, name)
        yield from _inside(group, own.name if own else "", rest, place.inside(name))
    elif kind is not None and not rest:
        yield kind


def _inside(group: str, own: str, path: Sequence[str], place: Place) -> Iterator[Any]:
    """Yield the possible types of a component's field, or that of its name."""
    if not path:
        yield str
        return
    if named := place.named.get(place.prefix, own):
        known = [named]
    else:
        # The class depends on the model, which is not known yet, so all of genzoo's are tried.
        every = registry.entries(group) if group in _OF_TRAINER else []
        known = [entry.name for entry in every if entry.distribution == OURS]
    for name in known:
        yield from _kinds(config_class(group, name), path, place)


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


def _named(args: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values of the flags that name classes, and of all flags of sections.

    They are written ``--flag value`` or ``--flag=value``.
    """
    flags, named = {}, {}
    for argument, after in itertools.zip_longest(args, args[1:], fillvalue=""):
        flag, joined, value = argument.partition("=")
        name = normal(flag).removeprefix("--")
        if name in _STREAMING and not joined:  # A switch that decides which flags there are.
            named[name.replace("-", "_")] = "True"
            continue
        if not flag.startswith("--") or not (joined or after):
            continue
        if name in _NAMES:
            flags[name] = value if joined else after
        elif "." in name and (joined or not is_flag(after)):
            named[name.replace("-", "_")] = value if joined else after
    return flags, named


def _values_of(flag: str, args: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments after a flag, up to the next flag."""
    if flag not in args:
        return ()
    rest = args[args.index(flag) + 1 :]
    return tuple(itertools.takewhile(lambda argument: not argument.startswith("-"), rest))


def _is_there(name: str) -> bool:
    return Path(name).exists() or is_repository(name)
