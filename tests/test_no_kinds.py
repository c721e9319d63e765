"""The core asks a space what it can do, and never which one it is."""

import ast
from pathlib import Path

import pytest

from genzoo import registry

CORE = Path(__file__).parent.parent / "genzoo"
FILES = sorted(
    path
    for path in CORE.rglob("*.py")
    if "spaces" not in path.relative_to(CORE).parts and "template" not in path.parts
)
NAMES = {"binary", "unit", "real", "categorical"}
"""The names of spaces that are not names of fields as well."""
CLASSES = {"Binary", "Unit", "Real", "Categorical", "Label", "Text"}


def constants(node):
    """Yield the texts that a comparison names, one by one or in a collection."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def classes(node):
    """Yield the names of classes that a check of a type names; Python's numbers.Real is none."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute) and getattr(inner.value, "id", "") != "numbers":
            yield inner.attr


def faults(source):
    """Return what compares a kind's name, or asks for a final class of space."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            names = {name for part in (node.left, *node.comparators) for name in constants(part)}
            found += [(node.lineno, name) for name in names & NAMES]
        elif isinstance(node, ast.Dict):
            keys = {name for key in node.keys if key is not None for name in constants(key)}
            found += [(node.lineno, name) for name in keys & NAMES]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                named = {name for part in node.args[1:] for name in classes(part)}
                found += [(node.lineno, name) for name in named & CLASSES]
        elif isinstance(node, ast.MatchClass):
            found += [(node.cls.lineno, name) for name in set(classes(node.cls)) & CLASSES]
        elif isinstance(node, ast.MatchValue):
            found += [(node.lineno, name) for name in set(constants(node.value)) & NAMES]
    return found


def test_the_names_are_those_that_are_registered():
    ours = {name for name in registry.names("spaces") if name in NAMES | {"label", "text"}}
    assert ours == NAMES | {"label", "text"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_no_file_of_the_core_asks_which_space_it_has(path):
    assert faults(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "spec.kind == 'binary'",
        "kind in ('unit', 'real')",
        "'categorical' != kind",
        "isinstance(space, Unit)",
        "isinstance(space, (str, spaces.Text))",
        "issubclass(cls, Label)",
        "_WORDS = {'unit': 'numbers'}",
        "match space:\n    case Binary():\n        pass",
        "match kind:\n    case 'real':\n        pass",
    ],
)
def test_what_asks_is_found(source):
    assert faults(source)
