"""genzoo inpaint fills in the part that the mask names, and nothing else."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import genzoo
from genzoo import GenModel, seeds
from genzoo.cli import main
from genzoo.cli.inpaint import _lines, _numbers
from genzoo.cli.masks import WORDS, mask_of
from genzoo.errors import ConfigError, DataError

EVENT = genzoo.Binary(shape=(1, 4, 6))
BITS = (np.random.default_rng(0).random((9, 1, 4, 6)) < 0.5).astype(np.uint8)


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    monkeypatch.chdir(tmp_path)
    np.savez("bits.npz", x=BITS)
    genzoo.create_model("rbm", event=EVENT, num_hidden=3).save_pretrained("m")
    return GenModel.from_pretrained("m")


def said(line, capsys, code=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(line.split())
    found = capsys.readouterr()
    assert left.value.code == code, found
    return found.out + found.err


QUICK = "--num-inference-steps 2"


def test_rows_are_filled_in_as_in_python(model, capsys):
    line = f"inpaint m --data bits.npz --rows 3,5-6 --mask left --num 2 --seed 4 {QUICK}"
    assert "3 rows, 50 % of the values filled in 2 times" in said(f"{line} --output x.npz", capsys)
    found = np.load("x.npz")
    x = torch.from_numpy(BITS[[3, 5, 6]]).float()
    mask = torch.zeros(3, 1, 4, 6, dtype=torch.bool)
    mask[..., :3] = True
    assert np.array_equal(found["given"], x)
    assert np.array_equal(found["mask"], mask)
    several, places = x.repeat_interleave(2, 0), mask.repeat_interleave(2, 0)
    options = {"generator": seeds.generator(4), "num_inference_steps": 2}
    wanted = model.inpaint(several, places, **options)
    assert np.array_equal(found["x"].reshape(6, 1, 4, 6), wanted)
    assert np.array_equal(
        np.where(mask[:, None], 0, found["x"] - x[:, None].numpy()), found["x"] * 0
    )
    said(f"{line} --output x.png", capsys)
    pixels = np.asarray(Image.open("x.png"))
    side = pixels.shape[1] // (4 * 7 + 1)
    # The second picture of each row is grey where it is hidden.
    assert {*pixels[side * 1 + 1, side * 8 + 1 : side * 11 : side]} == {128}
    assert 128 not in pixels[side * 1 + 1, side * 11 + 1 : side * 14]


def test_images_and_arrays_are_input_and_are_read_in_the_space_of_the_model(model, capsys):
    grey = np.full((4, 6), 200, np.uint8)
    grey[:, 4:] = 20
    Image.fromarray(grey).save("grey.png")
    line = f"inpaint m --mask left --output x.npz {QUICK}"
    out = said(f"{line} --input grey.png grey.png", capsys)
    assert "read as 1 × 4 × 6: zeros and ones" in out
    assert np.array_equal(np.load("x.npz")["given"][1, 0], grey > 127)
    np.save("rows.npy", BITS[:3])
    said(f"{line} --input rows.npy --rows 2", capsys)
    assert np.array_equal(np.load("x.npz")["given"], BITS[2:3])
    Image.fromarray(grey[:2]).save("small.png")
    assert "6 by 2 pixels, and the model takes 6 by 4" in said(
        f"{line} --input small.png", capsys, code=2
    )
    Path("broken.png").write_bytes(b"no picture")
    assert "cannot be read as an image" in said(f"{line} --input broken.png", capsys, code=2)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ("--mask leftish", "takes left, right, top, bottom, center, a share"),
        ("--mask 1.5", "a share between 0 and 1"),
        ("--mask left --rows 9", "names row 9, and bits.npz:x has 9 rows"),
        ("--mask left --rows x", "such as 3,5 or 0-7"),
        ("--mask left --input bits.npz", "leave --data"),
    ],
)
def test_what_cannot_be_filled_in_is_said_and_nothing_is_written(model, flags, error, capsys):
    text = said(f"inpaint m --data bits.npz --output x.npz {QUICK} {flags}", capsys, code=2)
    assert error in text
    assert not Path("x.npz").exists()


def test_a_model_that_does_not_inpaint_names_those_that_do(model, capsys):
    genzoo.create_model("vae", event=EVENT, latent_dim=2).save_pretrained("v")
    text = said("inpaint v --data bits.npz --mask left --output x.png", capsys, code=2)
    assert "VAE does not inpaint. Models that do: " in text
    assert "rbm" in text.partition("do: ")[2]
    assert "vae" not in text.partition("do: ")[2]


def test_each_word_marks_its_part(tmp_path, monkeypatch):
    masks = {word: mask_of(word, EVENT, 2, 0) for word in WORDS}
    assert all(mask.shape == (2, 1, 4, 6) for mask in masks.values())
    for word, other in (("left", "right"), ("top", "bottom")):
        assert torch.equal(masks[word], ~masks[other])
    assert masks["top"][0, 0, :, 0].tolist() == [True, True, False, False]
    assert masks["center"][0, 0].nonzero().tolist() == [
        [i, j] for i in (1, 2) for j in range(1, 5)
    ]
    flat = genzoo.Binary(shape=(6,))
    assert mask_of("right", flat, 1, 0).tolist() == [[False] * 3 + [True] * 3]
    with pytest.raises(ConfigError, match="have no top"):
        mask_of("top", flat, 1, 0)
    with pytest.raises(DataError, match="one value"):
        mask_of("left", genzoo.Label(num_classes=2), 1, 0)


def test_random_places_and_files_are_masks(tmp_path):
    colour = genzoo.Unit(shape=(3, 20, 20), levels=256)
    mask = mask_of("0.3", colour, 10, 1)
    assert mask.float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert torch.equal(mask[:, 0], mask[:, 1])
    assert not torch.equal(mask[0], mask[1])
    assert torch.equal(mask, mask_of("0.3", colour, 10, 1))
    assert not torch.equal(mask, mask_of("0.3", colour, 10, 2))
    assert mask_of("0.001", EVENT, 50, 0).flatten(1).any(1).all()
    path = tmp_path / "mask.png"
    Image.fromarray(np.eye(4, 6, dtype=np.uint8) * 255).save(path)
    assert torch.equal(mask_of(str(path), EVENT, 2, 0)[1, 0], torch.eye(4, 6).bool())
    with pytest.raises(DataError, match="6 by 4 pixels"):
        mask_of(str(path), colour, 1, 0)
    array = tmp_path / "mask.npy"
    np.save(array, np.eye(4, 6))
    assert torch.equal(mask_of(str(array), EVENT, 2, 0)[1, 0], torch.eye(4, 6).bool())
    for wrong, error in ((np.zeros((4, 6)), "marks nothing"), (np.eye(5), "does not fit")):
        np.save(array, wrong)
        with pytest.raises(DataError, match=error):
            mask_of(str(array), EVENT, 2, 0)


def test_rows_are_numbers_and_ranges():
    assert _numbers("0-2,7") == [0, 1, 2, 7]
    for wrong in ("", "3,", "-1", "5-3"):
        with pytest.raises(ConfigError, match="--rows takes"):
            _numbers(wrong)


def test_rows_of_text_are_shown_with_marks_below_them():
    words = genzoo.Categorical(shape=(3,), num_categories=2, names=("a", "b"))
    x, mask = torch.tensor([[0, 1, 0]]), torch.tensor([[False, True, True]])
    lines = _lines(words, x, mask, torch.tensor([[[0, 0, 0], [0, 1, 1]]]))
    given = words.lines(x)[0]
    assert lines[0] == f"given      {given}"
    assert [line for line in lines if line.startswith("filled in")] == [
        f"filled in  {text}" for text in words.lines(torch.tensor([[0, 0, 0], [0, 1, 1]]))
    ]


def test_marks_stand_below_a_text_that_ends_early():
    words = genzoo.Categorical(shape=(3,), num_categories=3, names=("a", "b", ""))
    x, mask = torch.tensor([[0, 2, 2]]), torch.tensor([[False, True, True]])
    assert _lines(words, x, mask, torch.tensor([[[0, 1, 2]]])) == [
        "given      a",
        "fill in     __",
        "filled in  ab",
    ]
    long = genzoo.Categorical(shape=(3,), num_categories=2, names=("yes", "no"))
    lines = _lines(long, x.clamp_max(1), mask, torch.tensor([[[0, 1, 0]]]))
    assert lines == ["given      yesnono", "filled in  yesnoyes"]
