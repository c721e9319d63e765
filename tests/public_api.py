"""The public surface as text: every public name with its signature, one a line.

Usage: python tests/public_api.py > docs/public-api.txt
"""

import dataclasses
import functools
import inspect
import sys
from pathlib import Path

MODULES = ("genzoo", "genzoo.plugin", "genzoo.testing")
RECORD = Path(__file__).parents[1] / "docs" / "public-api.txt"


def described():
    """Return the lines of all modules; what two of them have is described under the first."""
    seen = {}
    return [line for module in MODULES for line in _module(module, seen)]


def _module(name, seen):
    module = __import__(name, fromlist=["*"])
    for one in sorted(module.__all__):
        value = getattr(module, one)
        if inspect.isroutine(value) or inspect.isclass(value):
            if value in seen:
                yield f"{name}.{one} is {seen[value]}"
                continue
            seen[value] = f"{name}.{one}"
        yield from _name(f"{name}.{one}", value)


def _name(title, value):
    if inspect.isclass(value):
        yield f"class {title}({', '.join(base.__name__ for base in value.__bases__)})"
        yield from (f"  {line}" for line in sorted(_members(value)))
    elif callable(value):
        yield f"{title}{_signature(value)}"
    else:
        yield title


def _members(cls):
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    for field in (field for field in fields if not field.name.startswith("_")):
        yield f"{field.name}: {_text(field.type)}{_default(field)}"
    for name, value in vars(cls).items():
        if name.startswith("_") and name != "__init__":
            continue
        inner = getattr(value, "__func__", value)
        kind = {classmethod: "classmethod ", staticmethod: "staticmethod "}.get(type(value), "")
        if isinstance(value, (property, functools.cached_property)):
            get = value.fget if isinstance(value, property) else value.func
            yield f"property {name}: {_text(inspect.signature(get).return_annotation)}"
        elif inspect.isfunction(inner) and not (fields and name == "__init__"):
            yield f"{kind}{name}{_signature(inner)}"
    for name, kind in vars(cls).get("__annotations__", {}).items():
        if name not in {field.name for field in fields} and not name.startswith("_"):
            yield f"{name}: {_text(kind)}"


def _default(field):
    if field.default is not dataclasses.MISSING:
        return f" = {field.default!r}"
    return "" if field.default_factory is dataclasses.MISSING else " = ..."


def _signature(value):
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"


def _text(kind):
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


if __name__ == "__main__":
    sys.stdout.write("\n".join(described()) + "\n")
