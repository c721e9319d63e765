"""The commands: their arguments, parsed with the flags of the classes that they name."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
from collections.abc import Sequence
from typing import Any

import tyro

from genzoo.cli import arguments
from genzoo.cli.command_table import COMMANDS, DESCRIPTION, GROUPS
from genzoo.cli.common_arguments import InProcesses
from genzoo.cli.texts import write
from genzoo.cli.usage_errors import usage_error
from genzoo.errors import ConfigError, UnknownNameError

_MODULES = {name: name for name in COMMANDS} | {
    "data": "data_export",
    "list": "listing",
    "new-plugin": "new_plugin",
}
_CONDITION = "--condition."
_OF_MODELS = ("sample", "evaluate", "compare", "ema", "explore", "inpaint", "translate", "card")
_RESOLVED = ("train", *_OF_MODELS)


def show_help() -> None:
    """Print what commands there are."""
    from genzoo.cli.help_page import overview

    groups = {title: {name: COMMANDS[name] for name in names} for title, names in GROUPS.items()}
    write(overview(DESCRIPTION, groups))


def run(name: str, args: Sequence[str]) -> None:
    """Parse the arguments of a command, and run it.

    Raises:
        UnknownNameError: There is no such command.
        GenzooError: The arguments are refused, or the command fails.
    """
    if name not in COMMANDS:
        raise UnknownNameError("command", name, COMMANDS, "See genzoo --help.")
    parsed = _parse(name, rewritten(args))
    if name == "train":
        parsed = dataclasses.replace(parsed, typed=tuple(sorted(typed(args))))
    command = importlib.import_module(f"genzoo.cli.{_MODULES[name]}")
    if not isinstance(parsed, InProcesses):
        command.run(parsed)
        return
    from genzoo.cli import processes

    with processes.entered(parsed, [name, *args]):
        command.run(parsed)


def _parse(name: str, args: list[str]) -> Any:
    """Return a command's arguments, or exit with a one-line error."""
    peeked, said = arguments.Peeked(), io.StringIO()
    if name in _RESOLVED:  # The names in the arguments determine further flags.
        from genzoo.cli.peeking import peek

        peeked = peek(args, COMMANDS[name])
    found = resolved(name, peeked)
    if not {"--help", "-h"}.isdisjoint(args):
        from genzoo.cli.help_page import page

        write(page(name, found))
        raise SystemExit(0)
    # A field that is another config or None can be set by a recipe only; it is not a subcommand.
    config = (tyro.conf.AvoidSubcommands,)
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(found, prog=f"genzoo {name}", args=args, config=config)
    except SystemExit as left:
        if left.code:
            error = usage_error(args, found, name, peeked)
            raise ConfigError(error or said.getvalue()) from left
        raise


def resolved(name: str, peeked: arguments.Peeked) -> Any:
    """Return the arguments of a command, with the fields of the classes that they name."""
    if peeked.positional or (name == "train" and "from" in peeked.flags):
        return importlib.import_module(f"genzoo.cli.{_MODULES[name]}").arguments_for(peeked)
    return COMMANDS[name]


def typed(args: Sequence[str]) -> frozenset[str]:
    """Return the fields of sections that arguments name.

    >>> sorted(typed(["--model.num-hidden", "500", "--objective.no-centred", "--data", "digits"]))
    ['model.num_hidden', 'objective.centred']
    """
    flags = [arg[2:].partition("=")[0] for arg in args if arg.startswith("--")]
    pairs = [flag.replace("-", "_").rpartition(".") for flag in flags if "." in flag]
    return frozenset(f"{section}.{field.removeprefix('no_')}" for section, _, field in pairs)


def rewritten(args: Sequence[str]) -> list[str]:
    """Replace ``--condition.NAME VALUE`` in arguments by ``--condition NAME=VALUE``.

    The names of conditions are known only after the model is loaded.

    >>> rewritten(["folder", "--condition.angle", "0.5", "--condition.angle=1"])
    ['folder', '--condition', 'angle=0.5', '--condition', 'angle=1']
    """
    found: list[str] = []
    left = list(args)
    while left:
        flag, joined, value = left[0].partition("=")
        argument = left.pop(0)
        if not flag.startswith(_CONDITION):
            found.append(argument)
            continue
        name = flag.removeprefix(_CONDITION).replace("-", "_")
        if not joined and left and not left[0].startswith("--"):
            joined, value = "=", left.pop(0)
        found += ["--condition", f"{name}{joined}{value}"]
    return found
