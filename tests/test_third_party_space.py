"""A stranger's space goes through every command and a Hub; without its package, our list helps."""

import logging
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import genzoo
from genzoo import registry
from genzoo.cli import folders, main
from genzoo.errors import ConfigFileError, UnknownNameError
from hubs import same
from test_scaffold import points

EXAMPLE = Path(__file__).parents[1] / "examples" / "genzoo-angle"
QUICK = "--trainer.max-steps 2 --trainer.batch-size 4 --trainer.threads 1"
TRAIN = "--trainer.max-steps 20 --trainer.threads 1 --trainer.sample-steps 20 --data.num 500"
GIVEN = "--label north --condition.moon -90deg"
INSTALL = "part of genzoo-angle: pip install ./examples/genzoo-angle, in a checkout of genzoo"


@pytest.fixture
def package(install, hub, tmp_path, monkeypatch):
    """The package is installed; the folder is an empty one."""
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    folders.repository_of.cache_clear()
    monkeypatch.syspath_prepend(str(EXAMPLE))
    install("genzoo-angle", points(EXAMPLE))
    yield
    for name in [name for name in sys.modules if name.startswith("genzoo_angle")]:
        del sys.modules[name]


@pytest.fixture
def uninstall(monkeypatch):
    def leave():
        monkeypatch.setattr(sys, "path", [p for p in sys.path if "genzoo-angle" not in p])
        registry.refresh()

    return leave


@pytest.fixture
def run(package, capsys):
    """Run a command, and return what it says."""

    def do(line, code=0):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(line.split())
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return do


def test_it_goes_through_every_command_and_a_hub(run, hub):
    assert re.search(r"angle +\[genzoo-angle 1.0\] Angles in", run("list spaces"))
    run(f"train von-mises --data tides --output tide --model.conditions label moon {TRAIN}")
    run("evaluate tide --metrics log-likelihood circular-error --card")
    run("card tide --license apache-2.0")
    run("report tide")
    assert Path("tide/report.html").stat().st_size
    run("push tide ada/tide")
    assert "moon: 1: angles in [-π, π)" in run("inspect ada/tide")
    run("pull ada/tide mine")
    assert same(*map(genzoo.GenModel.from_pretrained, ("tide", "mine")))
    for where in ("tide", "mine", "ada/tide"):
        name = where.replace("/", "-")
        run(f"sample {where} --num 5 --seed 1 {GIVEN} --output {name}.npz")
    x, mine, pulled = (np.load(f"{name}.npz")["x"] for name in ("tide", "mine", "ada-tide"))
    assert x.shape == (5, 1)
    assert np.array_equal(x, mine)
    assert np.array_equal(x, pulled)
    assert run("evaluate ada/tide --verify").count(": equal") == 3
    assert "the model does not encode or decode" in run("explore mine --output x.png", code=2)


def test_an_array_is_read_in_it_by_name(run):
    x = np.array([[0.5, -3.0], [math.pi, 1.0]] * 10)
    np.save("wind.npy", x)
    run(f"train von-mises --data wind.npy --data.space angle --output run {QUICK}")
    rows = genzoo.load_dataset("wind.npy", space="angle")
    assert rows.info["x"].describe() == "2: angles in [-π, π)"
    assert rows.head(2)["x"][1, 0] < -3.14  # π is −π.
    x[3, 1] = 7
    np.save("wind.npy", x)
    said = run("train von-mises --data wind.npy --data.space angle --output other", code=2)
    assert "wind.npy:x must hold 2: angles" in said
    assert "row 3 holds 7. Give x mod 2π" in said


def test_without_its_package_the_error_says_what_to_install(run, uninstall):
    run(f"train von-mises --data tides --output tide {TRAIN}")
    run("push tide ada/tide --license apache-2.0")
    uninstall()
    for where in ("tide", "ada/tide"):
        with pytest.raises(UnknownNameError, match=rf"'von-mises'.*{INSTALL}"):
            genzoo.GenModel.from_pretrained(where)
        assert INSTALL in " ".join(run(f"inspect {where}").split())
    assert INSTALL in " ".join(run(f"sample tide --num 1 {GIVEN} --output x.npz", code=2).split())


def test_so_it_does_where_a_model_of_ours_is_given_such_a_space(run, uninstall):
    """Its own class is there, and the space of a condition is not."""
    model = genzoo.create_model("rbm", event=genzoo.Binary(shape=(4,)), num_hidden=2)
    model.save_pretrained("bits")
    path = Path("bits/config.json")
    stored = '"event": {"name": "angle", "config": {"shape": [4]}}'
    text = re.sub(r'"event": \{.*?\}\s*\}', stored, path.read_text("utf-8"), flags=re.DOTALL)
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigFileError, match="RBM models binary data, not 4: angles"):
        genzoo.GenModel.from_pretrained("bits")
    uninstall()
    with pytest.raises(ConfigFileError, match=rf"Unknown space 'angle'.*{INSTALL}"):
        genzoo.GenModel.from_pretrained("bits")
    assert INSTALL in " ".join(run("inspect bits").split())
