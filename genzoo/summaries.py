"""One-line descriptions of registered classes, read from their source without running it."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path

from genzoo.entry_points import Entry, find_module

_MOST_BYTES = 2**20
_MOST_WORDS = 200
_HEAD = re.compile(rb'(?m)^class (\w+)\b[^"\']*?:[ \t]*\n[ \t]+r?"""(?s:.)*?"""')
"""A class that begins with a docstring, as nearly all do."""


def summary_of(entry: Entry) -> str:
    """Return the first line of the class's docstring, or nothing if it cannot be found.

    The module's file is found like an import would find it, but neither it nor its parents are
    imported; it is parsed. For a class of the running session, its docstring is used.
    """
    module, _, name = entry.target.partition(":")
    if entry.problem or not entry.distribution:
        return ""
    try:
        spec = find_module(module)
        path = Path(spec.origin or "") if spec else Path()
        if path.suffix != ".py" or path.stat().st_size > _MOST_BYTES:
            return ""
        return _first_line(_tree(path.read_bytes(), name), name)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ""


def _tree(source: bytes, name: str) -> ast.Module:
    """Return the syntax tree of a module, or as much of it as has the docstring of a class.

    To parse all of each module would take most of the time of a list.
    """
    heads = (found for found in _HEAD.finditer(source) if found[1] == name.encode())
    head = next(heads, None)
    with contextlib.suppress(SyntaxError, ValueError):
        if head is not None:
            return ast.parse(head[0])
    return ast.parse(source)


def _first_line(tree: ast.Module, name: str) -> str:
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    found = next((node for node in classes if node.name == name), None)
    text = ast.get_docstring(found) if found else None
    return text.strip().splitlines()[0][:_MOST_WORDS] if text and text.strip() else ""
