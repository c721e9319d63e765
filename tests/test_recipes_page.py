"""docs/recipes.md: its snippets run, one after the other in one folder, and print what it shows.

Numbers with a decimal point may differ by a tenth: training multiplies differences of rounding.
"""

import contextlib
import io
import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = Path(__file__).parents[1].joinpath("docs", "recipes.md").read_text("utf-8")
SNIPPET = re.compile(
    r"^## (.*?)\n(?:(?!^## ).)*?<!-- tested(?:: ([\w.-]+))? -->\n\n```python\n(.*?)```\n\n"
    r"(?:```console\n.*?```\n\n)?```text\n(.*?)```",
    re.DOTALL | re.MULTILINE,
)
SNIPPETS = {title: (name, code, shown) for title, name, code, shown in SNIPPET.findall(TEXT)}
NUMBER = re.compile(r"-?\d+\.\d+")
ALONE = {"Several processes": ("2 processes", "1 processes")}


@pytest.fixture(scope="module")
def hub_of_module():
    """Nothing: the snippet that publishes has a test of its own."""


def printed(code, name="snippet.py"):
    Path(name).write_text(code, "utf-8")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        runpy.run_path(name)
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of all snippets, with the model of the first one."""
    folder = tmp_path_factory.mktemp("recipes")
    with contextlib.chdir(folder):
        Path("first.txt").write_text(printed(SNIPPETS["A model to start from"][1]))
    return folder


@pytest.mark.parametrize("title", [title for title in SNIPPETS if title != "Publish and load"])
def test_a_snippet_prints_what_stands_on_the_page(title, folder, monkeypatch):
    name, code, shown = SNIPPETS[title]
    monkeypatch.chdir(folder)
    first = title == "A model to start from"
    found = Path("first.txt").read_text() if first else printed(code, name or "snippet.py")
    shown = shown.replace(*ALONE.get(title, ("", "")))
    assert NUMBER.sub("#", found) == NUMBER.sub("#", shown), found
    for new, old in zip(NUMBER.findall(found), NUMBER.findall(shown), strict=True):
        assert math.isclose(float(new), float(old), rel_tol=0.1, abs_tol=0.02), found


def test_publishing(folder, hub, monkeypatch):
    monkeypatch.chdir(folder)
    _, code, shown = SNIPPETS["Publish and load"]
    assert printed(code) == shown


@pytest.mark.full
def test_the_script_runs_in_two_processes(tmp_path):
    name, code, shown = SNIPPETS["Several processes"]
    (tmp_path / name).write_text(code, "utf-8")
    (command,) = re.findall(r"\$ torchrun (.*)", TEXT)
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert run.stdout == shown


def test_snippets_are_short_and_none_is_left_out():
    assert len(SNIPPETS) == TEXT.count("```python") == TEXT.count("\n## ")
    for title, (_, code, _) in SNIPPETS.items():
        assert len([line for line in code.splitlines() if line]) <= 20, title
