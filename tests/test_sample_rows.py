"""Samples of several conditions at once, by the command: shared out, and a titled row for each."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo import DataError, GenModel, create_model, plotting
from genzoo.card.samples import caption_of
from genzoo.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = create_model(
        "vae",
        event_shape=(1, 8, 8),
        latent_dim=2,
        hidden_dims=(8,),
        condition="label",
        num_classes=3,
    )
    model.save_pretrained(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == code


def test_each_condition_gets_as_many_samples(folder):
    run("sample m --num 4 --label 2 --label 0 --seed 3 --output x.npz")
    with np.load("x.npz") as arrays:
        x = torch.from_numpy(arrays["x"])
    model = GenModel.from_pretrained("m")
    assert torch.equal(x, model.sample(4, condition=[2, 2, 0, 0], seed=3))
    assert not torch.equal(x, model.sample(4, condition=[2, 0, 2, 0], seed=3))


def test_a_picture_has_a_row_for_each_and_says_so(folder):
    run("sample m --num 6 --label 2 --label 0 --seed 3 --output m/samples.png")
    image = Image.open("m/samples.png")
    assert json.loads(image.info["genzoo"])["titled"] is True
    assert "each row given what stands beside it" in caption_of(folder / "m")
    rows = plotting.grid(
        GenModel.from_pretrained("m").sample(6, condition=[2] * 3 + [0] * 3, seed=3), 3
    )
    right = image.crop((image.width - rows.width, 0, image.width, image.height))
    assert right.tobytes() == rows.tobytes()


def test_what_cannot_be_shared_out_is_refused(folder, capsys):
    run("sample m --num 5 --label 2 --label 0 --output x.png", code=2)
    assert "5 samples cannot be shared out among 2 conditions" in capsys.readouterr().err


def test_titles_stand_left_of_their_rows():
    x = torch.zeros(4, 1, 8, 8)
    image = np.asarray(plotting.titled_rows(x, ["", "a long title"]))
    left = image.shape[1] - plotting.grid(x, columns=2).width
    top, bottom = image[: len(image) // 2, :left], image[len(image) // 2 :, :left]
    assert top.min() == 255
    assert bottom.min() < 100


def test_titles_of_what_is_no_image_are_refused():
    with pytest.raises(DataError):
        plotting.titled_rows(torch.zeros(2, 4, 8, 8), ["a"])
