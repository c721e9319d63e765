"""Checks of side effects: no global state is changed, on import or in use."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from genzoo import registry
from genzoo.testing.cases import SEED, Case, NotApplicable, demand
from genzoo.testing.global_state import attributes, changed, patched, world
from genzoo.testing.learning import few_steps
from genzoo.training import Trainer

_MAX_SECONDS = 300


def check_no_side_effects(case: Case) -> None:
    """Building, training and sampling print nothing and change no seeds, flags or threads."""
    with minding_manners() as before:
        model = case.cls(case.cls.example()[0])
        # Parameters are drawn from this generator.
        before["torch generator"] = world()["torch generator"]
        for stage in case.cls.default_stages(model.config):
            Trainer(model, case.data(), stage, few_steps(2, 4)).fit()
        model.sample(2, seed=SEED, condition=case.condition(model, 2))


@contextlib.contextmanager
def minding_manners() -> Iterator[dict[str, Any]]:
    """Require that nothing inside prints, or changes or replaces global state.

    Yields the state to compare with, by part.
    """
    said, before, held = io.StringIO(), world(), attributes()
    with contextlib.redirect_stdout(said):
        yield before
    demand(not (names := changed(before)), f"Changed for everybody: {', '.join(names)}.")
    demand(not (names := patched(held)), f"Replaced for everybody: {', '.join(names)}.")
    demand(not said.getvalue(), f"It prints {said.getvalue()[:60]!r}: use logging, or metrics.")


def check_import(case: Case) -> None:
    """Importing the plugin prints nothing and changes no seeds, flags, threads or libraries."""
    entry = next((e for e in registry.entries("models") if e.name == case.name), None)
    if entry is None or not entry.distribution:
        raise NotApplicable("It is registered by this session, not by an import.")
    modules = _modules(case.cls.__module__, entry)
    found, error = _imported(modules)
    for module, what in found.items():
        _demand_quiet(module, what)
    demand(not error, f"Importing {', '.join(modules)} prints {error[:60]!r}.")


def _imported(modules: Sequence[str]) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the findings of a fresh process for the import of each module, and its output.

    Raises:
        CheckFailed: An import ends the process.
    """
    command = [sys.executable, "-m", "genzoo.testing.importing", *modules]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_MAX_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    last = done.stdout.splitlines()[-1:] or [""]
    if done.returncode or not last[0].startswith("{"):
        among = ", ".join(modules)
        demand(False, f"Importing {among} ends the process: {(done.stderr or 'exit')[-300:]}")
    return json.loads(last[0]), done.stderr


def _modules(own: str, model: registry.Entry) -> list[str]:
    """Return the model's module, and the other registered modules of its package.

    Modules that need further packages may be missing and are left out.
    """
    package, entries = own.partition(".")[0], map(registry.entries, registry.GROUPS)
    targets = [
        entry.target.partition(":")[0]
        for entry in itertools.chain.from_iterable(entries)
        if entry.distribution == model.distribution
        and not entry.problem
        and set(entry.extras) <= set(model.extras)
    ]
    same = [module for module in targets if module.partition(".")[0] == package]
    return list(dict.fromkeys([own, *same]))


def _demand_quiet(module: str, found: dict[str, Any]) -> None:
    """Raise unless an import had no side effects."""
    demand(not found["error"], f"Importing {module} fails: {found['error']}.")
    demand(not found["said"], f"Importing {module} prints {found['said'][:60]!r}.")
    demand(not found["changed"], f"Importing {module} changes: {', '.join(found['changed'])}.")
    demand(not found["patched"], f"Importing {module} replaces: {', '.join(found['patched'])}.")
