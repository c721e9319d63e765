"""What is wrong with a command's flags, in one line with the remedy."""

from __future__ import annotations

import ast
import re

from genzoo.cli.arguments import Peeked
from genzoo.errors import suggest

_FRAME = "│╭╮╰╯─|+ "
_UNKNOWN = re.compile(r"Unrecognized (?:or misplaced )?options: ([^, ]+)")
_MISSING = re.compile(r"Missing from genzoo")
_NO_VALUE = re.compile(r"Missing value for argument '([^']+)'")
_CHOICE = re.compile(r"invalid choice '(.*)' for argument '([^']+)'\. Expected one of (\(.*?\))")
_PARSING = re.compile(r"Error parsing (\S+): (.*?) Argument helptext: \S+ (.*)")
_VALUE = re.compile(r"instantiated from \[(.*?)\]\.|: ('.*')")
_WORDS = {
    "INT": "a whole number",
    "FLOAT": "a number",
    "FLOAT FLOAT": "two numbers",
    "[INT [INT ...]]": "whole numbers",
}
_FIRST = {"--sampler": "--sampler NAME", "--data": "--data DATA"}


def complaint(box: str, command: str, peeked: Peeked) -> str:
    """Return what one of tyro's boxes says of a command's arguments, as a sentence or two.

    Arguments:
        box: What it says.
        command: The command.
        peeked: What its arguments name.
    """
    lines = [line.strip(_FRAME) for line in box.splitlines() if not line.startswith(("╭", "+"))]
    lines = [line for line in lines if line.strip("-")]
    text, see = " ".join(lines), f"See genzoo {command} --help."
    if found := _UNKNOWN.search(text):
        near = [flag for flag in _flags(lines) if flag != found[1]]
        return _unknown(found[1], near, _remedy(found[1], command, peeked), see)
    if _MISSING.search(text):
        named = [line.split()[0] for line in lines if re.match(r"--|[A-Z/]+$", line)]
        return f"genzoo {command} needs {', '.join(named)}. {see}"
    if found := _NO_VALUE.search(text):
        return f"{found[1]} needs a value. {see}"
    if found := _CHOICE.search(text):
        known = set(ast.literal_eval(found[3])) - {"None"}
        return f"{found[2]} got {found[1]!r}. {suggest(found[1], known)}"
    if found := _PARSING.search(text):
        shapes = [line for line in lines if line.startswith(f"{found[1]} ")]
        kind = _kind(shapes[-1].removeprefix(found[1])) if shapes else "another value"
        value = _VALUE.search(found[2])
        return f"{found[1]} takes {kind}{f', got {value[1] or value[2]}' if value else ''}. {see}"
    return text


def _unknown(what: str, near: list[str], remedy: str, see: str) -> str:
    """Say that there is no such flag, and whether it would be there beside another."""
    if not what.startswith("-"):
        return f"{what!r} is one value too many. {see}"
    inside = any(flag.startswith(f"{what.partition('.')[0]}.") for flag in near)
    if remedy and not inside:
        return f"There is no flag {what} here. {remedy}"
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no flag {what}.{meant} {see}"


def _remedy(flag: str, command: str, peeked: Peeked) -> str:
    """Return what makes a section of flags, where what it needs is not given."""
    section = flag.partition(".")[0]
    if "." not in flag or command not in ("train", "sample", "evaluate"):
        return ""
    if "recipe" in peeked.flags:
        return "A recipe says everything: change the file instead."
    if command == "train" and not peeked.positional:
        return "Give the model's name first: genzoo train NAME --data DATA --output DIR."
    if section in _FIRST and section.removeprefix("--") not in peeked.flags:
        return f"Give {_FIRST[section]} too: its fields are flags then."
    return ""


def _flags(lines: list[str]) -> list[str]:
    """Return the flags that tyro finds near, the nearest first."""
    found = [line.split()[0].rstrip(",") for line in lines if line.startswith("--")]
    return list(dict.fromkeys(found))[:3]


def _kind(metavar: str) -> str:
    """Return what a flag takes in words.

    >>> _kind("{None}|INT|{auto}")
    'a whole number or auto'
    """
    parts = [part.strip("{} ") for part in metavar.split("|")]
    return " or ".join(_WORDS.get(part, part) for part in parts if part != "None")
