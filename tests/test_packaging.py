"""The package as others build, type-check and cite it."""

import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import genzoo
import genzoo.plugin
from genzoo.scaffold import making

ROOT = Path(__file__).parents[1]
READY = runpy.run_path(str(ROOT / ".ci" / "release_ready"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
USERS = '''
"""A user's file."""

from pathlib import Path

import genzoo
from genzoo.plugin import Estimate, GenerativeModel
from torch import Tensor


def draw(folder: Path) -> Tensor:
    model: GenerativeModel = genzoo.GenModel.from_pretrained(folder)
    data = genzoo.load_dataset("digits", "test", binarize="threshold")
    result = genzoo.evaluate(model, data, max_examples=10)
    figure: Estimate = result.figures["log-likelihood"]
    print(figure.value + 1.0, [note.code for note in figure.notes])
    return model.sample(3, seed=0)


def wrong() -> int:
    return genzoo.load_dataset("digits")
'''


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the files that a release is checked by."""
    for name in ("pyproject.toml", "CITATION.cff", "SECURITY.md", "genzoo/version.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def fill_in(folder):
    security, project = folder / "SECURITY.md", folder / "pyproject.toml"
    security.write_text(security.read_text("utf-8").replace(READY["MARK"], "Write to"), "utf-8")
    text = project.read_text("utf-8")
    where = '[project.urls]\nRepository = "https://example.org/genzoo"\n'
    project.write_text(text.replace("[project.urls]\n", where), "utf-8")


def test_a_release_is_refused_while_an_address_is_missing(copy, capsys):
    assert READY["main"](copy) == 1
    assert capsys.readouterr().out.count("Not filled in") == 2
    fill_in(copy)
    assert READY["main"](copy) == 0


def test_a_release_is_refused_whose_versions_differ(copy, capsys):
    fill_in(copy)
    assert READY["main"](copy, f"v{genzoo.__version__}") == 0
    assert READY["main"](copy, "v9.9.9") == 1
    assert capsys.readouterr().out.count("not 9.9.9") == 3


def test_contributing_lists_what_a_maintainer_fills_in():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for place in READY["missing"](ROOT):
        where, _, what = place.partition(": ")
        assert all(f"`{part}`" in text for part in where.split(", ")), place
        assert what in text
    marked = [
        path
        for path in (*ROOT.glob("*.*"), *ROOT.glob(".github/**/*.*"))
        if path.is_file() and READY["MARK"] in path.read_text("utf-8")
    ]
    assert sorted(path.name for path in marked) == ["SECURITY.md", "pyproject.toml"]


def test_the_release_workflow_checks_first_and_pins_its_actions():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    runs = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert runs.index("bash .ci/run") > next(i for i, r in enumerate(runs) if "release_ready" in r)
    assert jobs["build"]["if"] == "vars.GENZOO_RELEASES == 'on'"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    used = [s["uses"] for job in jobs.values() for s in job["steps"] if "uses" in s]
    assert used
    assert all(len(action.partition("@")[2]) == 40 for action in used), used


def test_every_package_ships_its_types():
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    examples = [path.parent for path in ROOT.glob("examples/*/genzoo_*/__init__.py")]
    assert len(examples) == 2
    folders = [*map(ROOT.joinpath, packages), *examples]
    assert all((folder / "py.typed").is_file() for folder in folders)
    assert "@package@/py.typed" in making._FILES


def test_the_citation_states_the_version_and_licence_of_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == PROJECT["project"]["version"] == genzoo.__version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert {"title", "authors", "message"} <= set(citation)


def test_a_users_file_is_checked_by_mypy_against_the_packages_types(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed: pip install 'genzoo[dev]'")
    (tmp_path / "users.py").write_text(USERS, "utf-8")
    # With the project's settings, so that what `make lint` has read is not read again.
    settings = ["--config-file", "pyproject.toml", str(tmp_path / "users.py")]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, checked.stdout
    assert 'Incompatible return value type (got "Dataset", expected "int")' in errors[0]
