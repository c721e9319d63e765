"""The help of a command: each flag with its type, its default and what it is, in plain words."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import itertools
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from genzoo.cli.flag_table import Flag, flags_of
from genzoo.cli.trainer_groups import heading_of, rank_of

_MOST, _LEAST = 120, 40
_TITLES = {"--data": "the data", "--data-y": "the data of the second domain"}
_FITTED = ("--model", "--objective")
"""The sections whose defaults a model may fit to the data, which are not loaded for a help."""
_HELP = "--help, -h"


def page(command: str, arguments: type) -> str:
    """Return the help of a command.

    Arguments:
        command: The command.
        arguments: The dataclass of its arguments, with the sections of the classes that they name.
    """
    flags = list(flags_of(arguments))
    alone = [flag for flag in flags if flag.positional]
    plain = [flag for flag in flags if not flag.positional and "." not in flag.name]
    needed = [flag for flag in plain if flag.required]
    usage = " ".join(
        ["usage: genzoo", command, *map(_in_usage, alone), *map(_in_usage, needed), "[FLAGS]"]
    )
    parts = [_wrapped(usage, "       "), *_paragraphs(inspect.getdoc(arguments) or "")]
    if alone:
        parts.append(_entries("Arguments", alone))
    own = [*needed, *(flag for flag in plain if not flag.required)]
    parts.append(f"{_entries('Flags', own)}\n{_entry(_HELP, '', 'Show this help.')}")
    rest = [flag for flag in flags if "." in flag.name]
    for title, several in itertools.groupby(_sorted(rest), _title_of):
        parts.append(_entries(title, list(several)))
    return "\n\n".join(parts)


def overview(description: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the help of genzoo: the first sentence of each command, in groups."""
    width = max(len(name) for commands in groups.values() for name in commands)
    parts = ["usage: genzoo COMMAND ...", _wrapped(description, "")]
    for title, commands in groups.items():
        rows = [
            _wrapped(f"  {name:<{width}}  {_first_sentence(cls)}", " " * (width + 4))
            for name, cls in commands.items()
        ]
        parts.append("\n".join([title, *rows]))
    end = "genzoo COMMAND --help shows the flags of a command; genzoo --version, the version."
    return "\n\n".join([*parts, _wrapped(end, "")])


def docs_of(cls: type) -> Mapping[str, str]:
    """Return what the source of a dataclass says of each field; nothing without a source."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        found |= _own_docs(base)
    return found


@functools.cache
def _own_docs(cls: type) -> Mapping[str, str]:
    """Return the texts below the fields of one class."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError, TypeError, SyntaxError):
        tree: Any = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        for node, doc in itertools.pairwise(tree.body):
            if isinstance(node, ast.AnnAssign) and isinstance(doc, ast.Expr):
                found[ast.unparse(node.target)] = " ".join(ast.literal_eval(doc.value).split())
    return found


def _sorted(flags: Sequence[Flag]) -> list[Flag]:
    """Return flags with those of one heading together; the Trainer's own come before its parts."""
    # A component may be the first field of its section.
    outer_first = sorted(flags, key=lambda flag: flag.name.count("."))
    titles = list(dict.fromkeys(map(_title_of, outer_first)))
    roots = [flag.name.partition(".")[0] for flag in flags]

    def place(flag: Flag) -> tuple[int, int, int]:
        section, _, _ = flag.name.rpartition(".")
        rank = rank_of(flag.field) if section == "--trainer" else len(flags)
        return roots.index(flag.name.partition(".")[0]), rank, titles.index(_title_of(flag))

    return sorted(flags, key=place)


def _title_of(flag: Flag) -> str:
    """Return the heading of a flag of a section: its prefix, and what the section is."""
    section = flag.name.rpartition(".")[0]
    if section == "--trainer":
        return f"{section}.*: {heading_of(flag.field)}"
    about = _TITLES.get(section) or (inspect.getdoc(flag.owner) or "").partition("\n")[0]
    # A dataclass without a docstring has its signature.
    about = "" if about.startswith(f"{flag.owner.__name__}(") else about
    fitted = " (what is not given may be fitted to the data)" if section in _FITTED else ""
    return f"{section}.*: {about[:1].lower()}{about[1:].rstrip('.')}".removesuffix(": ") + fitted


def _entries(title: str, flags: Iterable[Flag]) -> str:
    return "\n".join([_wrapped(title, "  "), *(_of(flag) for flag in flags)])


def _of(flag: Flag) -> str:
    """Return the entry of a flag."""
    about = flag.given("help") or docs_of(flag.owner).get(flag.field, "")
    words = [part for part in (flag.type_in_words, *_more(flag, about)) if part]
    return _entry(_name(flag), "; ".join(words), about)


def _entry(name: str, kind: str, about: str) -> str:
    head = _wrapped(f"  {name}  {kind}".rstrip(), "      ")
    return f"{head}\n{_wrapped(f'      {about}', '      ')}" if about else head


def _name(flag: Flag) -> str:
    """Return the name of a flag; a switch that is on also has the name that turns it off."""
    if flag.num_values or not flag.default:
        return flag.name
    section, dot, last = flag.name.removeprefix("--").rpartition(".")
    return f"{flag.name}, --{section}{dot}no-{last}"


def _more(flag: Flag, about: str) -> Iterator[str]:
    """Yield what else there is to say of the values of a flag."""
    if flag.is_repeatable:
        yield "can be repeated"
    hint = flag.given("help_behavior_hint").strip("()")
    if flag.required:
        yield "required"
    elif hint:
        yield hint
    elif flag.num_values == 0:
        yield "switch, on by default" if flag.default else "switch"
    elif flag.default not in (None, (), ""):
        yield f"default: {_shown(flag.default)}"
    elif "default" not in about and not flag.is_repeatable:
        yield "default: none"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_usage(flag: Flag) -> str:
    if not flag.positional:
        return f"{flag.name} {flag.name.removeprefix('--').upper()}"
    name = f"{flag.name}..." if flag.num_values > 1 else flag.name
    return name if flag.required else f"[{name}]"


def _first_sentence(cls: Any) -> str:
    return " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())


def _paragraphs(text: str) -> list[str]:
    return [_wrapped(" ".join(part.split()), "") for part in text.split("\n\n") if part.strip()]


def _wrapped(text: str, indent: str) -> str:
    """Return a text in lines that fit the terminal; all but the first are indented."""
    width = max(_LEAST, min(_MOST, shutil.get_terminal_size().columns))
    lead = text[: len(text) - len(text.lstrip())]
    return textwrap.fill(
        text.lstrip(),
        width,
        initial_indent=lead,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
