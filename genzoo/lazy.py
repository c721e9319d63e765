"""Modules whose public names are loaded when they are used.

Such a module lists its names once, in imports under ``if TYPE_CHECKING:``. Type checkers read
them there, and so does this module at run time, from the source.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from typing import Any

from genzoo.notebook import import_tqdm_silently


def public(module: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` of a module of other modules' names."""
    homes = _homes(module)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        import_tqdm_silently()  # Before a library that warns.
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[module], name, value)
        return value

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return sorted(homes), get, listed


def _homes(module: str) -> dict[str, str]:
    """Return the module that defines each name that a module imports for type checkers."""
    loader: Any = sys.modules[module].__spec__.loader  # type: ignore[union-attr]
    tree = ast.parse(loader.get_source(module))
    blocks = [node.body for node in tree.body if isinstance(node, ast.If)]
    imports = [node for body in blocks for node in body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}
