"""genzoo list: what is registered, from metadata alone."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Literal, get_args

import tyro

from genzoo import registry
from genzoo.errors import GenzooError

Group = Literal["models", "objectives", "samplers", "datasets", "metrics"]


@dataclass(frozen=True, kw_only=True)
class ListArguments:
    """List what is installed; nothing of it is imported."""

    group: Annotated[Group | None, tyro.conf.Positional] = None
    """One group alone."""
    json: bool = False
    """Print JSON instead of a table."""
    check: bool = False
    """Import every entry, and show the error of each that fails."""


def run(arguments: ListArguments) -> None:
    """Print the entries of one group, or of all."""
    groups = [arguments.group] if arguments.group else list(get_args(Group))
    rows = [entry for group in groups for entry in registry.entries(group)]
    if arguments.check:
        rows = [_checked(entry) for entry in rows]
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(entry) for entry in rows], indent=2) + "\n")
        return
    width = max((len(entry.name) for entry in rows), default=0)
    for group in groups:
        sys.stdout.write(f"{group}\n")
        for entry in (entry for entry in rows if entry.group == group):
            sys.stdout.write(f"  {entry.name:<{width}}  {_origin(entry)}\n")


def _origin(entry: registry.Entry) -> str:
    origin = f"{entry.distribution} {entry.version}".strip() or "this session"
    problem = " ".join(entry.problem.split())
    return f"{origin}  error: {problem}" if problem else origin


def _checked(entry: registry.Entry) -> registry.Entry:
    """Return the entry with the error that importing it gives, of whatever kind."""
    if entry.problem:
        return entry
    try:
        registry.load(entry.group, entry.name)
    except GenzooError as error:
        return replace(entry, problem=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
        return replace(entry, problem=f"{type(error).__name__}: {error}")
    return entry
