"""Import modules in a fresh process, and print the changes of each as JSON.

Usage: python -m genzoo.testing.importing MODULE ...
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from typing import Any

from genzoo.testing.global_state import attributes, changed, foreign, patched, world


def main(modules: list[str]) -> None:
    """Print what importing each module printed, changed and replaced, and its error."""
    genzoo = sys.modules["genzoo"]
    for name in genzoo.__all__:  # Their own imports are not a side effect of the module.
        getattr(genzoo, name)
    written = _watch_environment()
    found = {module: _looked_at(module, written) for module in modules}
    sys.stdout.write(f"\n{json.dumps(found)}\n")


def _looked_at(module: str, written: list[str]) -> dict[str, Any]:
    said, error = io.StringIO(), ""
    written.clear()
    before, held = world(), attributes()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(module)
        except BaseException as raised:  # noqa: BLE001 - a module may raise anything
            error = f"{type(raised).__name__}: {raised}"
    environment = ["environment"] if foreign(written) else []
    return {
        "error": error,
        "said": said.getvalue(),
        "changed": sorted({*changed(before), *environment}),
        "patched": patched(held),
    }


def _watch_environment() -> list[str]:
    """Return a list that records the variables that are set from now on.

    The caller may have imported the module before, so this process may have inherited them.
    """
    written: list[str] = []
    put = os.putenv

    def watched(key: Any, value: Any) -> None:
        written.append(os.fsdecode(key))
        put(key, value)

    os.putenv = watched
    return written


if __name__ == "__main__":
    main(sys.argv[1:])
