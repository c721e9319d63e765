"""The pictures of genzoo card and genzoo explore."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo import Binary, ConditionError, Real, create_model, plotting
from genzoo.cli import main
from genzoo.sample_metadata import SampleMetadata


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)


def stored(**config):
    """Store a seeded VAE of two codes in the folder ``run``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model("vae", latent_dim=2, hidden_dims=(6,), **config)
    model.save_pretrained("run")
    return model


def run(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    said = capsys.readouterr()
    assert left.value.code == code, said
    return said.out


def angled():
    return stored(event=Binary(shape=(1, 3, 3)), conditions={"angle": Real(shape=(1,))})


def test_a_card_has_a_picture_for_a_condition_without_a_list_of_values(capsys):
    model = angled()
    out = run("card run", capsys)
    assert "has no list of values. Give a value: --condition.angle VALUE." in out
    assert not Path("run", "samples.png").exists()
    run("card run --num 4 --condition.angle 0.5 --seed 3", capsys)
    assert SampleMetadata.read(Path("run", "samples.png")).given == ("0.5",)
    picture = np.asarray(Image.open("run/samples.png"))
    wanted = model.sample(4, condition={"angle": [0.5]}, seed=3)
    assert np.array_equal(picture, np.asarray(plotting.picture(wanted)))
    assert "samples.png" in Path("run", "README.md").read_text("utf-8")


def test_a_number_does_for_a_condition_of_one_value():
    model = angled()
    wanted = model.sample(2, condition=torch.tensor([0.5]), seed=1)
    for given in (0.5, {"angle": 0.5}, [0.5], np.float64(0.5)):
        assert torch.equal(model.sample(2, condition=given, seed=1), wanted)
    with pytest.raises(ConditionError, match=r"takes shape \(1,\) for each angle"):
        model.sample(2, condition=[0.5, 0.5, 0.5])


def test_points_of_the_plane_are_explored_as_points(capsys):
    stored(event=Real(shape=(2,)))
    np.savez("points.npz", x=np.random.default_rng(0).normal(size=(20, 2)))
    run("explore run --data points.npz --output plane.png --num 5", capsys)
    found, points = Image.open("plane.png"), plotting.points(torch.zeros(25, 2))
    assert found.size == points.size
