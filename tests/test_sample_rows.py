"""Samples of several conditions at once, by the command: shared out, and a titled row for each."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo import Binary, DataError, GenModel, Label, create_model, plotting, registry
from genzoo.card.snippets import snippet_for
from genzoo.cli import main
from genzoo.sample_metadata import KEY, SampleMetadata


@pytest.fixture
def folder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = create_model(
        "vae",
        event=Binary(shape=(1, 8, 8)),
        conditions={"label": Label(num_classes=3, names=("a", "b", "c"))},
        latent_dim=2,
        hidden_dims=(8,),
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
    drawn = SampleMetadata.read(folder / "m" / "samples.png")
    assert (drawn.given, drawn.num, drawn.seed, drawn.batch_size) == ((2, 0), 6, 3, 6)
    assert "6 samples, each row given the text next to it" in drawn.in_words()
    assert "seed 3, batch_size 6" in drawn.in_words()
    rows = plotting.grid(
        GenModel.from_pretrained("m").sample(6, condition=[2] * 3 + [0] * 3, seed=3), 3
    )
    right = image.crop((image.width - rows.width, 0, image.width, image.height))
    assert right.tobytes() == rows.tobytes()


def test_a_picture_says_how_many_were_drawn_at_once(folder):
    run("sample m --num 3 --label 1 --seed 3 --batch-size 2 --output x.png")
    assert SampleMetadata.read(folder / "x.png").batch_size == 2
    run("sample m --num 1030 --label 1 --seed 3 --output y.png")
    assert SampleMetadata.read(folder / "y.png").batch_size == 515


def test_a_condition_is_named_by_its_flag_its_short_flag_an_index_or_a_name(folder):
    given = ("--label 2", "--label c", "--condition.label 2", "--condition.label=name:c")
    for number, flags in enumerate(given):
        run(f"sample m --num 2 {flags} --seed 3 --output {number}.npz")
    made = [np.load(f"{number}.npz")["x"].tolist() for number in range(len(given))]
    assert made == made[:1] * len(given)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--label d", "'d' is neither an index from 0 to 2 nor a name. Known: a, b, c."),
        ("--label 3", "The index '3' is not in 0 to 2"),
        ("--condition.mood 1", "VAE has no condition 'mood'. It has: label."),
        ("--condition.label", "--condition.label needs a value"),
        ("--label 1 --condition.label 1", "Give --label or --condition.label, not both"),
        ("", "VAE needs a label for each sample. Give condition=..., or --label in a shell"),
    ],
)
def test_a_condition_that_is_wrong_is_refused_in_words(folder, flags, says, capsys):
    run(f"sample m --num 2 {flags} --output x.npz", code=2)
    assert says in capsys.readouterr().err


def test_what_cannot_be_shared_out_is_refused(folder, capsys):
    run("sample m --num 5 --label 2 --label 0 --output x.png", code=2)
    assert "5 samples cannot be divided among 2 conditions" in capsys.readouterr().err


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


def test_the_snippet_of_a_card_draws_as_the_picture_was_drawn(folder, monkeypatch):
    run("sample m --num 4 --label 2 --label 0 --seed 3 --output m/samples.png --sampler prior")
    drawn = SampleMetadata.read(folder / "m" / "samples.png")
    snippet = snippet_for(GenModel.from_pretrained("m"), "m", drawn)
    assert "condition=2" in snippet
    exec(compile(snippet, "card", "exec"), {})  # noqa: S102 - it is what a card tells to run
    assert Image.open("picture.png").size == plotting.grid(torch.zeros(16, 1, 8, 8)).size


def test_a_sampler_that_is_not_the_models_own_is_made_in_the_snippet():
    model = create_model("rbm", event=Binary(shape=(4,)), num_hidden=2)
    other = registry.load("samplers", "gibbs")
    drawn = SampleMetadata(sampler="gibbs", sampler_config={"num_steps": 7})
    snippet = snippet_for(model, "m", drawn)
    assert f"sampler = {other.__name__}({other.Config.__name__}(num_steps=7))" in snippet
    assert "sampler=sampler" in snippet


@pytest.mark.parametrize(
    "told",
    [
        {"sampler": "none-of-that-name"},
        {"sampler": "gibbs", "sampler_config": {"nothing": 1}},
        {"given": [{"a": [1]}], "sampler": 3, "sampler_config": "x", "num": "many", "seed": 1.5},
        {"batch_size": "all", "num": True},
    ],
)
def test_what_a_stranger_says_of_a_picture_is_taken_for_nothing(tmp_path, told):
    image = Image.new("L", (8, 8))
    plotting.write_picture(image, tmp_path / "samples.png", texts={KEY: json.dumps(told)})
    drawn = SampleMetadata.read(tmp_path / "samples.png")
    assert drawn.known_sampler() is None
    assert drawn.given == ()
    model = create_model("rbm", event=Binary(shape=(4,)), num_hidden=2)
    assert snippet_for(model, "m", drawn) == snippet_for(model, "m")
