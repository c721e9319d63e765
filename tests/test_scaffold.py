"""A new plugin's package works as it is written: it is listed, passes its tests, and is clean."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import genzoo
import installs
from genzoo import registry
from genzoo.cli import main
from genzoo.errors import ConfigError, NameConflictError, OutputExistsError
from genzoo.scaffold import LICENCES, PARTS, make_plugin
from genzoo.testing import Case
from genzoo.testing.drawing import check_samples
from genzoo.testing.learning import check_loss_is_a_mean
from genzoo.testing.likelihoods import check_likelihood
from genzoo.testing.schema import check_config_closed


def points(folder):
    """Return the entry points of a project, as its installation would write them."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    lines = []
    for group, names in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    return "\n".join(lines)


@pytest.fixture
def made(tmp_path):
    """A new package, and the folder whose metadata say that it is installed."""
    folder = tmp_path / "project"
    make_plugin("my-normal", folder, parts=PARTS)
    site = installs.write(tmp_path / "site", "genzoo-my-normal", points(folder))
    path = os.pathsep.join([str(folder), str(site)])
    return folder, {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def run(*command, **options):
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_its_tests_pass_as_generated_and_it_trains(made):
    folder, environment = made
    said = run("pytest", "-q", "-p", "no:cacheprovider", cwd=folder, env=environment)
    assert "passed" in said
    assert "failed" not in said
    train = "train my-normal --data ring --output run --trainer.max-steps 20 --trainer.threads 1"
    run("genzoo", *train.split(), cwd=folder, env=environment)
    assert (folder / "run" / "model.safetensors").exists()


def test_it_is_clean(made):
    folder, _ = made
    if importlib.util.find_spec("ruff"):
        run("ruff", "check", "--isolated", "--line-length", "99", "--no-cache", ".", cwd=folder)
    assert not [p for p in folder.rglob("*") if p.is_file() and "@my" in p.read_text("utf-8")]
    text = "".join(p.read_text("utf-8") for p in folder.rglob("*") if p.is_file())
    assert not {"@model@", "@package@", "@title@", "@distribution@", "@licence@"} & set(
        text.replace("(", " ").split()
    )


@pytest.mark.full
def test_its_types_are_complete(made):
    folder, environment = made
    typed = {**environment, "MYPYPATH": str(Path(genzoo.__file__).parents[1])}
    run("mypy", "--strict", "genzoo_my_normal", cwd=folder, env=typed)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_module_its_test_and_its_name(part, tmp_path):
    files = {path.name for path in make_plugin("mine", tmp_path / "mine", parts=[part])}
    assert {f"{part}.py", f"test_genzoo_mine_{part}.py", "model.py"} <= files
    assert not {f"{other}.py" for other in PARTS if other != part} & files
    project = tomllib.loads((tmp_path / "mine" / "pyproject.toml").read_text("utf-8"))["project"]
    (target,) = project["entry-points"][f"genzoo.{part}s"].values()
    module, _, name = target.partition(":")
    text = (tmp_path / "mine" / module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    assert f"class {name}(" in text


@pytest.mark.parametrize(
    ("parts", "error"),
    [(["datset"], "no part 'datset'. Did you mean 'dataset'"), ([""], "no part ''")],
)
def test_an_unknown_part_is_refused(parts, error, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(error)):
        make_plugin("mine", tmp_path / "new", parts=parts)
    assert not (tmp_path / "new").exists()


def test_a_taken_name_of_a_part_is_refused(tmp_path):
    with pytest.raises(NameConflictError, match="'digits' in datasets is taken, by genzoo"):
        make_plugin("digits", tmp_path / "new", parts=["dataset"])


@pytest.mark.parametrize("license", LICENCES)
def test_it_has_the_licence_that_is_asked_for(license, tmp_path):
    files = make_plugin("mine", tmp_path / "mine", license=license)
    assert tmp_path / "mine" / "LICENSE" in files
    project = tomllib.loads((tmp_path / "mine" / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"].lower() == license
    assert f"genzoo>={genzoo.__version__}" in project["dependencies"]
    assert len((tmp_path / "mine" / "LICENSE").read_text("utf-8")) > 1000


@pytest.mark.parametrize(
    "name", ["Mine", "", "1st", "a b", "../mine", "a.b", "-", "a-", "a_", "x" * 65, "x" * 61, "ö"]
)
def test_a_bad_name_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="not a valid name"):
        make_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["normal", "sampler", "config", "negative-log-likelihood", "any"])
def test_a_name_that_the_templates_use_themselves_works(name, tmp_path, install, monkeypatch):
    folder = tmp_path / "project"
    make_plugin(name, folder)
    monkeypatch.syspath_prepend(str(folder))
    install(f"genzoo-{name}", points(folder))
    try:
        case = Case(name, registry.load("models", name))
        for check in (check_config_closed, check_samples, check_loss_is_a_mean, check_likelihood):
            check(case)
    finally:
        package = f"genzoo_{name.replace('-', '_')}"
        for module in [m for m in sys.modules if m.partition(".")[0] == package]:
            del sys.modules[module]


@pytest.mark.parametrize("name", ["rbm", "vae", "boltzmann", "gibbs"])
def test_a_taken_name_is_refused(name, tmp_path):
    with pytest.raises(NameConflictError, match=r"taken, by genzoo|installed already"):
        make_plugin(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_exists_is_left_alone(what, tmp_path):
    path = tmp_path / "new"
    {"folder": path.mkdir, "file": path.touch, "link": lambda: path.symlink_to("nowhere")}[what]()
    with pytest.raises(OutputExistsError, match="Choose another folder"):
        make_plugin("mine", path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for code in (0, 2):
        with pytest.raises(SystemExit) as left:
            main(["new-plugin", "my_flow", "--license", "mit", "--with", "space,dataset"])
        assert left.value.code == code
    said = capsys.readouterr()
    assert "pip install -e 'genzoo-my-flow[test]'" in said.out
    assert "genzoo-my-flow exists" in said.err
    files = {path.name for path in Path("genzoo-my-flow", "genzoo_my_flow").iterdir()}
    assert {"model.py", "space.py", "dataset.py"} <= files
    assert "metric.py" not in files
    assert "my_flow" not in registry.names("models")
