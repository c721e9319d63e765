"""The core's modules lie in layers: what a module imports lies in its own layer, or below.

Imports inside functions count, and so does ``importlib.import_module`` of a text. Those under
``TYPE_CHECKING`` do not. The facades name modules by texts, and no core module imports from them.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FACADES = {"genzoo", "genzoo.plugin"}
DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")
PICTURE = re.compile(r"## Layers\n.*?```text\n(.*?)```", re.DOTALL)
"""The picture in docs/design.md is the statement: a layer's title, then its modules."""


def order():
    """Return the number of the layer of each module that the picture names, 0 at the bottom.

    A package stands for all in it that the picture does not name by itself.
    """
    lines = PICTURE.search(DESIGN)[1].splitlines()
    rows = [re.split(r" {2,}", line, maxsplit=1)[1].split() for line in reversed(lines)]
    return {f"genzoo.{name}": number for number, names in enumerate(rows) for name in names}


def layer_of(module, known):
    """Return the number of a module's layer: of its longest name in the picture."""
    name = module
    while name not in known:
        name, dot, _ = name.rpartition(".")
        assert dot, f"{module} is in no layer: give it one."
    return known[name]


def modules(root=ROOT):
    """Return every module of the core by its dotted name, with its file."""
    found = {}
    for path in (root / "genzoo").rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_for_types(node):
    """Whether a statement is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def named_by(node, known):
    """Yield the modules of genzoo that a statement imports, or a call by its text."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "An import says where from: genzoo.NAME."
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in known else str(node.module)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        text = node.args[0]
        if isinstance(text, ast.Constant):
            yield str(text.value)
        elif isinstance(text, ast.JoinedStr):  # A command's module, by its name.
            beginning = str(text.values[0].value).rstrip(".")
            yield from (name for name in known if name.startswith(f"{beginning}."))


def imports(source, known):
    """Return the modules of genzoo that a module's source imports, those for types left out."""
    found, left = set(), [ast.parse(source)]
    while left:
        node = left.pop()
        found |= {name for name in named_by(node, known) if name.partition(".")[0] == "genzoo"}
        left += node.orelse if is_for_types(node) else list(ast.iter_child_nodes(node))
    return found


def graph():
    """Return what each module of the core imports."""
    known = modules()
    return {name: imports(path.read_text("utf-8"), known) - {name} for name, path in known.items()}


def upward(edges):
    """Return the imports that go upward."""
    known = order()
    return sorted(
        f"{name} -> {other}"
        for name, others in edges.items()
        if name not in FACADES
        for other in others - FACADES
        if layer_of(other, known) > layer_of(name, known)
    )


def circles(edges):
    """Return the modules that cannot be put in an order, because they import one another."""
    left = {name: others & edges.keys() for name, others in edges.items()}
    while done := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in done}
    needed = {other for others in left.values() for other in others}
    while loose := left.keys() - needed:
        left = {name: others for name, others in left.items() if name not in loose}
        needed = {other for others in left.values() for other in others}
    return sorted(left)


EDGES = graph()


def test_no_import_goes_upward():
    assert upward(EDGES) == []


def test_no_imports_form_a_circle():
    assert circles(EDGES) == []


def test_no_core_module_imports_from_a_facade():
    used = {name: others & FACADES for name, others in EDGES.items() if name not in FACADES}
    assert {name: others for name, others in used.items() if others} == {}


def test_every_module_is_in_a_layer():
    known = order()
    assert [name for name in modules() if name not in FACADES and layer_of(name, known) < 0] == []


def test_the_picture_names_no_module_that_is_not_there():
    known = modules()
    assert [name for name in order() if name not in known] == []


# The test sees what it is for


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from genzoo import seeds", {"genzoo.seeds"}),
        ("from genzoo.hub import Reference", {"genzoo.hub"}),
        ("import genzoo.cli", {"genzoo.cli"}),
        ("def f():\n    from genzoo.card import write_card", {"genzoo.card"}),
        ("import importlib\nimportlib.import_module('genzoo.data')", {"genzoo.data"}),
        ("if TYPE_CHECKING:\n    from genzoo.cli import main", set()),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import genzoo.cli", {"genzoo.cli"}),
        ("from genzoo import GenModel", {"genzoo"}),
        ("import torch", set()),
    ],
)
def test_imports_are_seen_wherever_they_stand(source, found):
    assert imports(source, modules()) == found


def test_an_upward_import_is_named():
    assert upward({"genzoo.errors": {"genzoo.cli.train"}}) == ["genzoo.errors -> genzoo.cli.train"]
    assert upward({"genzoo.cli.train": {"genzoo.errors"}}) == []


def test_a_circle_is_named_without_what_leads_to_it():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(edges) == ["b", "c"]


def test_the_commands_that_are_imported_by_their_names_count():
    assert "genzoo.cli.train" in EDGES["genzoo.cli.commands"]
