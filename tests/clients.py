"""Clients of a Hub that are not ours, each in a process of its own, told of the tests' Hub.

`.ci/clients` installs them; GENZOO_CLIENTS names their folder. The `hf` command comes with the
client that genzoo itself is built on.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_SECONDS = 120
"""How long a client may take before it is taken to hang."""
_HF = """
    import importlib.metadata
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="hf")
    command.load()()
"""
_NODE = """
    import { createRequire } from "node:module";
    import { pathToFileURL } from "node:url";
    import { mkdir, readFile, writeFile } from "node:fs/promises";
    import { dirname, join } from "node:path";
    const found = createRequire(process.argv[1] + "/package.json").resolve("@huggingface/hub");
    const hub = await import(pathToFileURL(found));
    const [given] = process.argv.slice(2).map((text) => JSON.parse(text));
    const at = { hubUrl: process.env.HF_ENDPOINT, accessToken: process.env.HF_TOKEN };
"""


def folder_of(client):
    """Return the folder that a client was installed into; without it the test skips."""
    folder = Path(os.environ.get("GENZOO_CLIENTS") or "none", client)
    if not folder.is_dir():
        pytest.skip(f"no {client} client: make clients installs it, GENZOO_CLIENTS names where")
    return folder.absolute()


def hf(environment, *arguments):
    """Run the hf command; return what it prints."""
    return _run([sys.executable, "-c", textwrap.dedent(_HF), *map(str, arguments)], environment)


def python(client, environment, program, *arguments):
    """Run a program that finds an installed client before any other; return what it prints."""
    front = {"PYTHONPATH": str(folder_of(client))}
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return _run(command, {**environment, **front})


def node(environment, program, **given):
    """Run a program of the JavaScript client, `hub`, with `given`; return what it prints."""
    folder, text = folder_of("javascript"), textwrap.dedent(_NODE) + textwrap.dedent(program)
    if shutil.which("node") is None:
        pytest.skip("no node to run the JavaScript client")
    command = ["node", "--input-type=module", "--eval", text, str(folder)]
    return _run([*command, json.dumps(given, default=str)], environment)


def _run(command, environment):
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise ClientError(f"{done.stdout}\n{done.stderr}")
    return done.stdout


class ClientError(Exception):
    """A client that failed, with all that it said."""
