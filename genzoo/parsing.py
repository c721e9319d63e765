"""JSON, TOML and YAML of strangers: bounded in size, parts and depth, wherever they are read."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 30
"""How deep lists and tables may lie within one another, in every format."""
MAX_TOML_BYTES, MAX_TOML_PARTS = 2**20, 50_000
MAX_YAML_BYTES, MAX_YAML_PARTS = 2**18, 20_000
_MAX_NUMBER = 64
_YAML_NUMBER = re.compile(r"[-+.]?[0-9][0-9_.:eE+-]*")
_TOML_TEXT = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|#[^\n]*+",
    re.DOTALL,
)
_TOML_DOTTED = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{MAX_DEPTH}}}", re.ASCII)
_TOML_PART = re.compile(r"[,=.\n]")


def strict_json(text: str) -> Any:
    """Parse JSON, refusing duplicate keys and the numbers that JSON does not have.

    The caller bounds the size: parsed, a text takes some thirty times as much memory.

    Raises:
        ValueError: It is no such JSON, or too deep.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a key stands twice in one object")
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return _not_deep(json.loads(text, object_pairs_hook=pairs, parse_constant=constant))
    except RecursionError as error:
        raise _too_deep() from error


def strict_toml(text: str) -> dict[str, Any]:
    """Parse TOML, having looked how large it is and how deep its keys are.

    The standard library takes a time that grows with the square of a key's parts.

    Raises:
        ValueError: It is no TOML, too large, of too many parts, or too deep.
    """
    if len(text) > MAX_TOML_BYTES:
        raise ValueError(f"it has over {MAX_TOML_BYTES:,} letters")
    bare = _TOML_TEXT.sub(lambda found: "" if found[0][0] == "#" else "_", text)
    if _TOML_DOTTED.search(bare):
        raise _too_deep()
    if sum(1 for _ in _TOML_PART.finditer(bare)) > MAX_TOML_PARTS:
        raise ValueError(f"it has over {MAX_TOML_PARTS:,} parts")
    try:
        found: dict[str, Any] = _not_deep(tomllib.loads(text))
    except RecursionError as error:
        raise _too_deep() from error
    return found


def check_yaml(text: str) -> None:
    """Look through YAML part by part, so that it is parsed only where that takes modest means.

    Raises:
        ValueError: It is too large, too deep, or has too many parts or a number of too many
            digits, whose parsing takes a time that grows with their square.
        YAMLError: It is no YAML, or holds parts of itself, which a few bytes can make billions.
    """
    import yaml

    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"it has over {MAX_YAML_BYTES:,} letters")
    depth, loader = 0, getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for number, event in enumerate(yaml.parse(text, loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if number > MAX_YAML_PARTS:
            raise ValueError(f"it has over {MAX_YAML_PARTS:,} parts")
        if depth > MAX_DEPTH:
            raise _too_deep()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it holds *{event.anchor}, a part of itself")
        if isinstance(event, yaml.ScalarEvent) and _is_long_number(event.value):
            raise ValueError(f"it holds a number of over {_MAX_NUMBER} digits")


def _is_long_number(text: str) -> bool:
    return len(text) > _MAX_NUMBER and bool(_YAML_NUMBER.fullmatch(text))


def _not_deep(found: Any) -> Any:
    """Return what was parsed, having gone down into it, level by level.

    Raises:
        ValueError: It is too deep.
    """
    level = [found]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return found
    raise _too_deep()


def _within(value: Any) -> Iterable[Any]:
    """Return the lists and tables that stand in one; of anything else nothing."""
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, (dict, list))]
    if isinstance(value, list):
        return [inner for inner in value if isinstance(inner, (dict, list))]
    return ()


def _too_deep() -> ValueError:
    return ValueError(f"its parts lie over {MAX_DEPTH} deep within one another")
