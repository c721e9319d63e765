"""Checks of manners: nothing that belongs to everybody is touched, on import or in use."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys

from genzoo import registry
from genzoo.testing.cases import SEED, Case, NotApplicable, demand
from genzoo.testing.learning import few_steps
from genzoo.testing.world import attributes, changed, patched, world
from genzoo.training import Trainer

_MAX_SECONDS = 300


def check_no_side_effects(case: Case) -> None:
    """Building, training and sampling print nothing, and leave seeds, flags and threads alone."""
    said = io.StringIO()
    before, held = world(), attributes()
    with contextlib.redirect_stdout(said):
        model = case.cls(case.cls.example()[0])
        before["torch generator"] = world()["torch generator"]  # Parameters are drawn from it.
        stage = case.cls.default_stages()[0]
        Trainer(model, case.data(), stage, few_steps(2, 4)).fit()
        model.sample(2, seed=SEED, condition=case.condition(model, 2))
    demand(not (names := changed(before)), f"Changed for everybody: {', '.join(names)}.")
    demand(not (names := patched(held)), f"Replaced for everybody: {', '.join(names)}.")
    demand(not said.getvalue(), f"It prints {said.getvalue()[:60]!r}: use logging, or metrics.")


def check_import(case: Case) -> None:
    """Importing the plugin prints nothing, and leaves seeds, flags, threads, libraries alone."""
    module = case.cls.__module__
    if not any(e.distribution for e in registry.entries("models") if e.name == case.name):
        raise NotApplicable("It is registered by this session: no import makes it known.")
    command = [sys.executable, "-m", "genzoo.testing.importing", module]
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
        demand(False, f"Importing {module} ends the process: {(done.stderr or 'exit')[-300:]}")
    found = json.loads(last[0])
    demand(not found["error"], f"Importing {module} fails: {found['error']}.")
    said = found["said"] or done.stderr
    demand(not said, f"Importing {module} prints {said[:60]!r}.")
    demand(not found["changed"], f"Importing {module} changes: {', '.join(found['changed'])}.")
    demand(not found["patched"], f"Importing {module} replaces: {', '.join(found['patched'])}.")
