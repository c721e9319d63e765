"""Defaults as text: every field that has one, of every class that is registered, one a line.

Usage: python tests/defaults.py > docs/defaults.txt
"""

import dataclasses
import sys
from pathlib import Path

from genzoo import registry

KINDS = ("models", "objectives", "samplers", "optimizers", "lr_schedulers", "metrics")
RECORD = Path(__file__).parents[1] / "docs" / "defaults.txt"


def described():
    """Return the lines of all kinds."""
    return [line for kind in KINDS for line in _kind(kind)]


def _kind(kind):
    for entry in registry.entries(kind):
        if entry.distribution == "genzoo":
            cls = registry.load(kind, entry.name)
            yield f"{kind} {entry.name}"
            yield from (f"  {line}" for line in _fields(cls.Config))
            for stage in cls.default_stages(cls.example()[0]) if kind == "models" else ():
                about = f" of {stage.model}" if stage.model else ""
                values = {**stage.objective.config, **stage.trainer}
                yield f"  stage{about}: {stage.objective.name} {_text(values)}"


def _fields(config):
    for field in dataclasses.fields(config):
        if field.default is not dataclasses.MISSING:
            yield f"{field.name} = {field.default!r}"
        elif field.default_factory is not dataclasses.MISSING:
            yield f"{field.name} = {field.default_factory()!r}"


def _text(values):
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())


if __name__ == "__main__":
    sys.stdout.write("\n".join(described()) + "\n")
