"""The pages on plugins: what they say to write is written, and what they say to run is run."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import genzoo
import installs
from genzoo.cli import folders, main
from test_scaffold import points

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "genzoo-zuko"
TESTS = "import sys, pytest; sys.exit(pytest.main(['-q', '-k', 'not conformance and not learns']))"
BLOCK = re.compile(r"<!-- (file|try|run)(?:: (\S+))? -->\n```\w+\n(.*?)\n```", re.DOTALL)


def blocks(page):
    """Return the marked blocks of a page in order: what to do, the file, and the text."""
    return BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


def run(code, folder):
    """Run a page's Python in a folder where its package is installed."""
    site = folder / "site"
    if not site.exists():
        installs.write(site, "genzoo-zuko", points(folder))
    path = os.pathsep.join(map(str, (folder, site)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_example_grows_from_an_empty_folder_and_each_step_runs(tmp_path):
    pytest.importorskip("zuko")
    said = []
    for what, name, text in blocks("writing-a-plugin.md"):
        if what == "try":
            said.append(run(text, tmp_path))
            continue
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        before = f"{path.read_text('utf-8').rstrip()}\n" if path.exists() else ""
        gap = "\n" if text.startswith(" ") else "\n\n"
        path.write_text(f"{before}{gap if before else ''}{text}\n", "utf-8")
    assert "num_transforms must be in [1, 16], got 1000." in said[0]
    assert "torch.Size([4, 2])" in said[1]
    assert "kind='exact'" in said[2]
    assert "passed check_likelihood_kind" in said[3]
    assert "6 passed" in run(TESTS, tmp_path)  # The suite is run by the step before.
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["project"]
    assert (tmp_path / project["readme"]).is_file()  # Without it, pip installs nothing.
    written = [*EXAMPLE.rglob("*.py"), EXAMPLE / "pyproject.toml"]
    for path in written:
        same = (tmp_path / path.relative_to(EXAMPLE)).read_text("utf-8")
        assert same == path.read_text("utf-8"), path


def test_the_example_uses_public_names_alone():
    imports = re.compile(r"^\s*(?:from (genzoo\S*) import|import (genzoo\S*))", re.MULTILINE)
    for path in EXAMPLE.rglob("*.py"):
        found = {a or b for a, b in imports.findall(path.read_text("utf-8"))}
        assert {m for m in found if not m.startswith("genzoo_zuko")} <= {
            "genzoo",
            "genzoo.conditions",
            "genzoo.testing",
        }


def test_a_model_is_published_without_any_code(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folders.folder_of.cache_clear()
    folders.snapshot_of.cache_clear()
    for what, name, text in blocks("publishing-without-code.md"):
        if what == "file":
            Path(name).write_text(f"{text}\n", "utf-8")
            continue
        for line in text.splitlines():
            with pytest.raises(SystemExit) as left:
                main(shlex.split(line.removeprefix("$ genzoo ")))
            assert not left.value.code, (line, capsys.readouterr().err)
    assert Path("samples.png").exists()
    assert genzoo.GenModel.from_pretrained("ada/digits").config.num_hidden == 16
