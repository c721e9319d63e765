"""genzoo list: registered names with descriptions, from metadata and source only."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from genzoo import entry_points, registry
from genzoo.cli.texts import write, write_json
from genzoo.errors import ConfigError, UnknownNameError
from genzoo.isolation import SECONDS, Question, look
from genzoo.summaries import summary_of
from genzoo.text_safety import one_line


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What to list; `genzoo.cli.arguments.ListArguments` documents the fields."""

    what: tuple[str, ...] = ()
    data: str | None = None
    can: str | None = None
    json: bool = False
    check: bool = False
    seconds: float = SECONDS
    origin: bool = False


def run(arguments: Listing) -> None:
    """Print the entries of one group, or of all."""
    groups, patterns = _chosen(arguments)
    known = [entry for group in groups for entry in registry.listed(group)]
    names = [entry.name for entry in known]
    if lost := [p for p in patterns if not fnmatch.filter(names, p)]:
        raise _unknown(groups, lost, names)
    rows = [e for e in known if not patterns or any(fnmatch.fnmatch(e.name, p) for p in patterns)]
    question = _question(arguments)
    if arguments.check or question:
        rows = look(rows, seconds=arguments.seconds, question=question)
    if question and not rows:
        write("No model fits.")
    if arguments.json:
        write_json([{**asdict(entry), "summary": summary_of(entry)} for entry in rows])
        return
    _write([g for g in groups if not patterns or any(e.group == g for e in rows)], rows, arguments)
    if unknown := entry_points.unknown_disabled():
        write(
            f"{entry_points.DISABLE} names unknown distributions: {one_line(', '.join(unknown))}"
        )


def _chosen(arguments: Listing) -> tuple[list[str], Sequence[str]]:
    """Return the requested groups and patterns of names."""
    groups = [word for word in arguments.what if _is_group(word)]
    patterns = [word for word in arguments.what if word not in groups]
    if arguments.data is None and arguments.can is None:
        return groups or list(registry.GROUPS), patterns
    if groups not in ([], ["models"]):
        raise ConfigError(f"--for and --can choose models, not {groups[0]}. Leave them out.")
    return ["models"], patterns


def _is_group(word: str) -> bool:
    """Whether a word is a group: one of genzoo's, or one that a package opens or registers in."""
    known = registry.known_groups()
    return word in known or ("." in word and bool(registry.listed(word)))


def _unknown(
    groups: Sequence[str], patterns: Sequence[str], names: Sequence[str]
) -> UnknownNameError:
    """Return the error for an unknown name, with the names of one group or similar ones."""
    if len(groups) > 1:
        near = [n for p in patterns for n in difflib.get_close_matches(p, names, n=3)]
        names = [*registry.GROUPS, *near]
    return UnknownNameError("entry", ", ".join(patterns), names)


def _question(arguments: Listing) -> Question | None:
    """Return the question about models, if any; the dataset and the capability must exist."""
    if arguments.can is not None:
        from genzoo import capabilities

        known = [capabilities.title_of(name) for name in capabilities.names()]
        if arguments.can not in known:
            raise UnknownNameError("capability", arguments.can, known)
    if arguments.data is not None:
        from genzoo.data import load_dataset

        load_dataset(arguments.data)
    asked = arguments.can is not None or arguments.data is not None
    return Question(arguments.can, arguments.data) if asked else None


def _write(groups: list[str], rows: list[registry.Entry], arguments: Listing) -> None:
    """Write a table; the metadata of distributions are untrusted and escaped."""
    name = max((len(one_line(entry.name)) for entry in rows), default=0)
    origin = max((len(_origin(entry)) for entry in rows), default=0) if arguments.origin else 0
    for group in groups:
        write(group)
        for entry in (entry for entry in rows if entry.group == group):
            where = f"{_origin(entry):<{origin}}  {one_line(entry.location)}  "
            error = "" if entry.disabled else "error: "  # To be disabled is not an error.
            problem = f"{error}{one_line(entry.problem)}" if entry.problem else ""
            about = problem or one_line(summary_of(entry))
            # The distribution of an entry is named if it is not genzoo.
            owner = "" if entry.distribution == entry_points.OURS else f"[{_origin(entry)}] "
            line = f"{where if arguments.origin else owner}{about}"
            write(f"  {one_line(entry.name):<{name}}  {line}".rstrip())


def _origin(entry: registry.Entry) -> str:
    return one_line(f"{entry.distribution} {entry.version}") or "this session"
