"""The fields of a registered class's config, read from its source without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from genzoo.entry_points import find_module

_MOST_BYTES = 2**20
_MOST_BASES = 8


@dataclass(frozen=True)
class StaticField:
    """A field as its source states it.

    Arguments:
        name: Its name.
        about: The text below it.
        choices: The texts that it accepts, or nothing if it accepts others too.
        is_switch: Whether it is true or false.
        group: The group of the component that it holds; "" if it holds none.
    """

    name: str
    about: str = ""
    choices: tuple[str, ...] = ()
    is_switch: bool = False
    group: str = ""


@dataclass(frozen=True)
class _Source:
    """The classes of a module, its constants that are texts, and what it imports by name."""

    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    imported: Mapping[str, str] = field(default_factory=dict)


def fields_of(target: str, *, own_config: bool = True) -> dict[str, StaticField]:
    """Return the fields of a class's config, its bases' first; nothing where it cannot be found.

    Arguments:
        target: ``module:Class``.
        own_config: Whether the class has a ``Config``; else it is the config itself.
    """
    module, _, name = target.partition(":")
    found: dict[str, StaticField] = {}
    if own_config:
        module, name = next(_configs(module, name, _MOST_BASES), ("", ""))
    for where, each in _lineage(module, name, _MOST_BASES):
        found |= {one.name: one for one in _own(each, where)}
    return found


def _lineage(module: str, name: str, most: int) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield a class with its module after its bases, as far as their sources are found."""
    source = _read(module)
    if name in source.imported and most:
        origin, _, attribute = source.imported[name].partition(":")
        yield from _lineage(origin, attribute, most - 1)
    node = source.classes.get(name)
    if node is None or not most:
        return
    for base in node.bases:
        yield from _lineage(module, ast.unparse(base).partition("[")[0], most - 1)
    yield module, node


def _configs(module: str, name: str, most: int) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of the config of a class, then of its bases."""
    source = _read(module)
    if name in source.imported and most:
        origin, _, attribute = source.imported[name].partition(":")
        yield from _configs(origin, attribute, most - 1)
    node = source.classes.get(name)
    if node is None or not most:
        return
    for each in node.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "Config":
            yield module, ast.unparse(each.value)
    for base in node.bases:
        if isinstance(base, ast.Subscript) and isinstance(base.slice, ast.Name):
            yield module, base.slice.id  # The config is the argument of a generic base.
    for base in node.bases:
        yield from _configs(module, ast.unparse(base).partition("[")[0], most - 1)


def _own(node: ast.ClassDef, module: str) -> Iterator[StaticField]:
    """Yield the fields of one class of a module."""
    for each, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            kind = ast.unparse(each.annotation)
            if not kind.startswith("ClassVar"):
                yield StaticField(
                    each.target.id,
                    _text(after),
                    _choices(each.annotation),
                    kind == "bool",
                    _group(each.annotation, module),
                )


def _text(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else ""
    return " ".join(text.split()) if isinstance(text, str) else ""


def _choices(annotation: ast.expr) -> tuple[str, ...]:
    """Return the texts of the ``Literal`` in an annotation."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
            values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return tuple(str(v.value) for v in values if isinstance(v, ast.Constant))
    return ()


def _group(annotation: ast.expr, module: str) -> str:
    """Return the group of the component that a field with this annotation holds, or ""."""
    # A mapping of components has no flag that names one of them.
    parts = annotation.elts if isinstance(annotation, ast.Tuple) else [annotation]
    for node in parts:
        if isinstance(node, ast.BinOp):
            found = _group(node.left, module) or _group(node.right, module)
        elif isinstance(node, ast.Subscript):
            held = ast.unparse(node.value).endswith(("Annotated", "Optional"))
            found = _group(node.slice, module) if held else ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Group") and node.args:
            found = _constant(node.args[0], module, _MOST_BASES)
        else:
            found = "models" if ast.unparse(node).endswith("ModelSpec") else ""
        if found:
            return found
    return ""


def _constant(node: ast.expr, module: str, most: int) -> str:
    """Return a text, or that of a module's constant, of this module or of another one."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    name, source = ast.unparse(node), _read(module)
    if name in source.imported and most:
        origin, _, attribute = source.imported[name].partition(":")
        return _constant(ast.Name(attribute), origin, most - 1)
    return source.texts.get(name, "")


def _read(module: str) -> _Source:
    try:
        spec = find_module(module)
        path = Path(spec.origin or "") if spec else Path()
        if path.suffix != ".py" or path.stat().st_size > _MOST_BYTES:
            return _Source()
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return _Source()
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imported = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in ast.walk(tree)  # A facade imports for type checkers only.
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    }
    return _Source(classes, dict(_texts(tree)), imported)


def _texts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the constants of a module that are texts."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value
