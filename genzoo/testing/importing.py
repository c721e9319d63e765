"""Import one module in a fresh process, and print as JSON what that changed.

Usage: python -m genzoo.testing.importing MODULE
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys

import genzoo
from genzoo.testing.world import attributes, changed, patched, world


def main(module: str) -> None:
    """Print what importing a module said, changed and replaced, and how it failed."""
    for name in genzoo.__all__:
        getattr(genzoo, name)
    said, error = io.StringIO(), ""
    before, held = world(), attributes()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(module)
        except BaseException as raised:  # noqa: BLE001 - a module may raise anything
            error = f"{type(raised).__name__}: {raised}"
    found = {
        "error": error,
        "said": said.getvalue(),
        "changed": changed(before),
        "patched": patched(held),
    }
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
