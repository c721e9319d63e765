"""genzoo list: what is registered, from metadata alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal, get_args

import tyro

from genzoo import installed, registry
from genzoo.cli.texts import plain, write, write_json
from genzoo.isolation import SECONDS, look

Group = Literal["models", "objectives", "samplers", "datasets", "metrics", "formats"]


@dataclass(frozen=True, kw_only=True)
class ListArguments:
    """List what is installed; nothing of it is imported.

    GENZOO_DISABLE_PLUGINS=NAME,... leaves out the distributions of those names, to find out which
    one a fault comes from; GENZOO_DISABLE_PLUGINS=all leaves out all but genzoo itself.
    """

    group: Annotated[Group | None, tyro.conf.Positional] = None
    """One group alone."""
    json: bool = False
    """Print JSON instead of a table."""
    check: bool = False
    """Import every entry, each distribution in a process of its own, and show each error."""
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = SECONDS
    """With --check, how long the import of an entry may take."""
    origin: bool = False
    """Show the folder of each distribution too."""


def run(arguments: ListArguments) -> None:
    """Print the entries of one group, or of all."""
    groups = [arguments.group] if arguments.group else list(get_args(Group))
    rows = [entry for group in groups for entry in registry.entries(group)]
    if arguments.check:
        rows = look(rows, seconds=arguments.seconds)
    if arguments.json:
        write_json([asdict(entry) for entry in rows])
        return
    _write(groups, rows, with_location=arguments.origin)
    if unknown := installed.unknown_disabled():
        write(f"{installed.DISABLE} names what is not installed: {plain(', '.join(unknown))}")


def _write(groups: list[str], rows: list[registry.Entry], *, with_location: bool) -> None:
    """Write a table: whatever a distribution says of itself is a stranger's word."""
    name = max((len(plain(entry.name)) for entry in rows), default=0)
    origin = max((len(_origin(entry)) for entry in rows), default=0) if with_location else 0
    for group in groups:
        write(group)
        for entry in (entry for entry in rows if entry.group == group):
            where = f"  {plain(entry.location)}" if with_location else ""
            about = f"{_origin(entry):<{origin}}{where}{_problem(entry)}"
            write(f"  {plain(entry.name):<{name}}  {about}".rstrip())


def _origin(entry: registry.Entry) -> str:
    return plain(f"{entry.distribution} {entry.version}") or "this session"


def _problem(entry: registry.Entry) -> str:
    """Return what is wrong with an entry; to be left out is no error."""
    if not entry.problem:
        return ""
    return f"  {'' if entry.disabled else 'error: '}{plain(entry.problem)}"
