"""Untrusted JSON, TOML and YAML, bounded in size, parts and depth."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 30
"""The maximum depth of nested lists and tables, in every format."""
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
    """Parse JSON strictly: no duplicate keys, no NaN or infinity.

    The caller bounds the size, because parsing takes about thirty times the memory of the text.

    Raises:
        ValueError: It is not strict JSON, or too deep.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("an object has a key twice")
        return found

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    try:
        return _not_deep(json.loads(text, object_pairs_hook=pairs, parse_constant=constant))
    except RecursionError as error:
        raise _too_deep() from error


def strict_toml(text: str) -> dict[str, Any]:
    """Parse TOML after checking its size and the depth of its keys.

    The standard library takes time quadratic in the parts of a key.

    Raises:
        ValueError: It is not TOML, is too large or too deep, or has too many parts.
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
    """Check YAML part by part before it is parsed, so that parsing is cheap.

    Raises:
        ValueError: It is too large or too deep, or has too many parts or a number with too many
            digits, which takes quadratic time to parse.
        YAMLError: It is not YAML, or refers to its own parts, which can expand a few bytes to
            billions.
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
            raise yaml.YAMLError(f"it refers to *{event.anchor}, a part of itself")
        long = isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_NUMBER
        if long and _YAML_NUMBER.fullmatch(event.value):
            raise ValueError(f"it holds a number of over {_MAX_NUMBER} digits")


def _not_deep(found: Any) -> Any:
    """Check the depth of a parsed value level by level, and return it.

    Raises:
        ValueError: It is too deep.
    """
    level = [found] if isinstance(found, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return found
    raise _too_deep()


def _within(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    """Return the lists and tables inside a list or a table."""
    inner = value.values() if isinstance(value, dict) else value
    return [one for one in inner if isinstance(one, (dict, list))]


def _too_deep() -> ValueError:
    return ValueError(f"its parts are nested over {MAX_DEPTH} deep")
