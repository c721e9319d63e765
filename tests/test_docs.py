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
ANGLE = ROOT / "examples" / "genzoo-angle"
TESTS = "import sys, pytest; sys.exit(pytest.main(['-q', '-k', 'not conformance and not learns']))"
BLOCK = re.compile(
    r"<!-- (file|try|run|part|angle)(?:: (\S+))? -->\n```\w+\n(.*?)\n```", re.DOTALL
)


def blocks(page):
    """Return the marked blocks of a page in order: what to do, the file, and the text."""
    return BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


def run(code, folder, package=None):
    """Run a page's Python in a folder where its package is installed: the folder, or another."""
    site, package = folder / "site", package or folder
    if not site.exists():
        name = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))["project"]["name"]
        installs.write(site, name, points(package))
    before = filter(None, [os.environ.get("PYTHONPATH")])
    path = os.pathsep.join([str(package), str(site), *before])
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
        if what != "file":
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


def test_what_is_shown_of_the_second_example_is_its_code():
    parts = [(name, text) for what, name, text in blocks("writing-a-plugin.md") if what == "part"]
    assert len({name for name, _ in parts}) == 7
    for name, text in parts:
        assert text in (ANGLE / name).read_text("utf-8"), (name, text)


def test_the_snippets_on_the_second_example_run_each_by_itself(tmp_path):
    texts = [text for what, _, text in blocks("writing-a-plugin.md") if what == "angle"]
    readme = re.findall(
        r"```python\n(.*?)```", (ANGLE / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert (len(texts), len(readme)) == (5, 1)
    lines = [f"exec({text!r}, {{'__name__': '__main__'}})" for text in (*texts, *readme)]
    said = run("\n".join(lines), tmp_path, ANGLE)
    assert "2: angles in [-π, π) [1.57" in said
    assert "VonMises takes angles in [-π, π); row 1 holds 7. Give x mod 2π" in said
    assert "moon: 1: angles in [-π, π)" in said
    assert "circular-error" in said
    assert "VonMises needs a moon for each sample" in said
    assert "{'label': tensor([-1, -1])}" in said
    assert said.count("torch.Size([4, 1])") == 2


def test_a_model_is_published_without_any_code(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folders.repository_of.cache_clear()
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
