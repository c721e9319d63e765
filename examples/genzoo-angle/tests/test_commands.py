"""Every command knows the package by its entry points alone."""

import json
import re

import numpy as np
import pytest
import torch

import genzoo
from genzoo.testing import run_command
from genzoo_angle.angle import Angle
from genzoo_angle.mixture import VonMises
from genzoo_angle.tides import DELAYS


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own, and return what it says."""
    monkeypatch.chdir(tmp_path)

    def do(command, code=0):
        with pytest.raises(SystemExit) as left:
            run_command(command.split())
        said = capsys.readouterr()
        assert (left.value.code or 0) == code, said.err
        return said.err if code else said.out

    return do


GUIDED = "--sampler von-mises --sampler.guidance-scale 2"
DROPPING = "--model.condition-dropout 0.1"
TRAIN = "--model.conditions label moon --trainer.max-steps 300 --trainer.threads 1"


def test_from_a_list_to_a_report(run, tmp_path):
    for group, name in (("spaces", "angle"), ("models", "von-mises"), ("datasets", "tides")):
        assert f"{name} " in run(f"list {group}")
    assert "von-mises" in run("list --for tides")
    assert "--model.num-components" in run("train von-mises --data tides --help")

    run(f"train von-mises --data tides --output tide {TRAIN} --trainer.sample-steps 300")
    stored = json.loads((tmp_path / "tide" / "config.json").read_text("utf-8"))["config"]
    assert stored["event"] == {"name": "angle", "config": {"shape": [1]}}
    assert list(stored["conditions"]) == ["label", "moon"]
    assert list((tmp_path / "tide" / "samples").iterdir())

    given = "--label north --condition.moon -90deg"
    run(f"sample tide --num 500 --seed 0 {given} --output x.npz")
    x = torch.from_numpy(np.load("x.npz")["x"])
    Angle(shape=(1,)).require(x, "It")
    moved = (x - DELAYS[0] + np.pi / 2).cos().mean().item()
    assert moved > 0.8
    run("sample tide --num 20 --label north --label west --condition.moon 0 --output two.png")
    run(f"sample tide --num 20 {given} --output x.png --trajectory path.png")

    said = run("evaluate tide --max-examples 1000 --json tide/evaluation.json --card")
    assert "circular-error" in said
    assert "nats (exact)" in said
    assert "Not for this model and these data" in said
    run("card tide --license mit")
    card = (tmp_path / "tide" / "README.md").read_text("utf-8")
    assert "given" in card
    assert "genzoo.showing import save_picture" in card  # Not the numbers, but the circle.
    run("report tide")
    assert "circular-error" in (tmp_path / "tide" / "report.html").read_text("utf-8")
    said = run("inspect tide")
    assert "moon: 1: angles in [-π, π)" in said
    assert "genzoo-angle" in said
    assert "circular-error" in said


def test_a_picture_shows_the_circle():
    images = Angle(shape=(1,)).images(torch.linspace(-3, 3, 10)[:, None])
    assert images.shape == (10, 2)  # Points in the plane.
    torch.testing.assert_close(images.norm(dim=1), torch.ones(10))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("explore tide --output x.png", "not for VonMises: the model does not encode or decode"),
        ("translate tide --data tides --output x.png", "VonMises does not translate"),
        ("sample tide --num 1 --output x.png", "VonMises needs a label for each sample"),
        (
            "sample tide --num 1 --label north --output x.png",
            "VonMises needs a moon for each sample.*--condition.moon",
        ),
        (
            "sample tide --num 1 --label north --condition.moon 4 --output x.png",
            r"takes angles in \[-π, π\); condition 0 holds 4\. Give x mod 2π",
        ),
        (
            "sample tide --num 1 --label up --condition.moon 0 --output x.png",
            "'up' is neither an index from 0 to 3 nor a name",
        ),
        (
            f"sample tide --num 1 --label 0 --condition.moon 0 --output x.png {GUIDED}",
            "was trained with its conditions only, and cannot do without them",
        ),
        ("evaluate tide --data ring", "VonMises models angle data; these are real"),
        ("train von-mises --data ring --output no", "If they are angles, wrap them"),
        ("train rbm --data tides --output no", "RBM models binary data; these are angle"),
        (
            "train von-mises --data tides --model.conditions tide --output no",
            "needs the field tide of the data; they have x, label, moon",
        ),
        (
            f"train von-mises --data tides --output no --model.conditions moon {DROPPING}",
            "moon is 1: angles.*which has no value for",
        ),
        ("train von-mises --data tides --data.space real --output no", "cannot be written as"),
        ("train von-mises --data tides --data.binarize threshold --output no", "be binarised"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(run, command, said):
    info = genzoo.load_dataset("tides", num=10).info
    config = VonMises.configure(info, ("label", "moon"))
    genzoo.create_model("von-mises", **config.to_dict()).save_pretrained("tide")
    found = " ".join(run(command, code=2).split())
    assert "Traceback" not in found
    assert found.startswith("error: ")

    assert re.search(said, found), found
