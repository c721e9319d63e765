"""Import one module in a fresh process, and print as JSON what that changed.

Usage: python -m genzoo.testing.importing MODULE
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from typing import Any

import genzoo
from genzoo.testing.world import attributes, changed, foreign, patched, world


def main(module: str) -> None:
    """Print what importing a module said, changed and replaced, and how it failed."""
    for name in genzoo.__all__:
        getattr(genzoo, name)
    said, error, written = io.StringIO(), "", _watch_environment()
    before, held = world(), attributes()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(module)
        except BaseException as raised:  # noqa: BLE001 - a module may raise anything
            error = f"{type(raised).__name__}: {raised}"
    found = {
        "error": error,
        "said": said.getvalue(),
        "changed": sorted({*changed(before), *(["environment"] if foreign(written) else [])}),
        "patched": patched(held),
    }
    sys.stdout.write(f"\n{json.dumps(found)}\n")


def _watch_environment() -> list[str]:
    """Return a list of the variables that are set from now on, to whatever value.

    Who asks has imported the module before, so that this process may have inherited them.
    """
    written: list[str] = []
    put = os.putenv

    def watched(key: Any, value: Any) -> None:
        written.append(os.fsdecode(key))
        put(key, value)

    os.putenv = watched
    return written


if __name__ == "__main__":
    main(sys.argv[1])
