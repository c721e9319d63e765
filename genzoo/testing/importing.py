"""Import modules in a fresh process, and print as JSON what each of them changed.

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
    """Print what importing each module said, changed and replaced, and how it failed."""
    genzoo = sys.modules["genzoo"]
    for name in genzoo.__all__:  # What importing them changes is not the module's doing.
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
    main(sys.argv[1:])
