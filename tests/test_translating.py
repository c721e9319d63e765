"""Translations: there and back, strips, failures, what a run draws, and the command."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import families  # noqa: F401  Registers the toys.
from genzoo import Binary, GenModel, Trainer, TrainerConfig, Unit, create_model, pair
from genzoo.cli import main
from genzoo.plotting import strips
from genzoo.report import write_report
from genzoo.translating import Cycle, there_and_back


class Halving(nn.Module):
    """To y: half; to x: three times."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def translate(self, x, *, to):
        assert not torch.is_grad_enabled()
        return self.dropout(x / 2 if to == "y" else 3 * x)


def images(num, *shape, seed=0):
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(seed))


def command(line, capsys):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    found = capsys.readouterr()
    return left.value.code, found.out if left.value.code == 0 else found.err


def test_the_way_there_and_back_is_in_eval_mode_whatever_the_blocks():
    model, x = Halving().train(), images(600, 1, 4, 4)
    cycle = there_and_back(model, x, to="y")
    torch.testing.assert_close(cycle.translated, x / 2)
    torch.testing.assert_close(cycle.back, 1.5 * x)
    torch.testing.assert_close(cycle.errors(), 0.5 * x.flatten(1).mean(1))
    assert model.training
    torch.testing.assert_close(there_and_back(model, x, to="x").back, 1.5 * x)


def test_the_worst_are_those_that_come_back_furthest_off():
    x = torch.zeros(5, 1, 2, 2)
    back = torch.tensor([0.1, -0.4, 0.3, 0.0, 0.4]).view(5, 1, 1, 1).expand(5, 1, 2, 2)
    cycle = Cycle(x, x + 7, back).worst(3)
    assert cycle.back[:, 0, 0, 0].tolist() == pytest.approx([-0.4, 0.4, 0.3])
    assert cycle.source.shape == cycle.translated.shape == (3, 1, 2, 2)


def test_a_strip_is_a_column_and_grey_stands_beside_colour():
    """Two examples of 100 pixels in two stages, with lines of one pixel between and around."""
    grey, colour = torch.ones(2, 1, 100, 100), torch.zeros(2, 3, 100, 100)
    colour[1, 0] = 1
    picture = strips([grey, colour])
    assert picture.mode == "RGB"
    pixels = np.asarray(picture.resize((203, 203), Image.Resampling.NEAREST))
    assert pixels[50, 50].tolist() == pixels[50, 150].tolist() == [255, 255, 255]
    assert pixels[150, 50].tolist() == [0, 0, 0]
    assert pixels[150, 150].tolist() == [255, 0, 0]
    assert strips([grey, grey]).mode == "L"


@pytest.fixture
def run(tmp_path):
    """Train a toy for a few steps on two files, drawing as it goes."""
    rows = {"x": images(20, 1, 4, 4), "y": images(20, 1, 4, 4, seed=1)}
    for domain, values in rows.items():
        np.savez(tmp_path / f"{domain}.npz", x=values.numpy())
    folder = tmp_path / "run"
    config = TrainerConfig(max_steps=4, batch_size=4, progress=False, sample_steps=2)
    space = Unit(shape=(1, 4, 4))
    model = create_model("toy-cycle", event=space, conditions={"y": space})
    Trainer(model, pair(rows["x"], rows["y"]), config=config, output_dir=folder).fit()
    return tmp_path


def test_a_run_draws_strips_of_both_directions_and_the_report_shows_them(run):
    """Six stages of sixteen examples of 4 × 4, with lines of one pixel, as large as is shown."""
    pictures = sorted((run / "run" / "samples").glob("*[0-9].png"))
    assert [path.name[-7:] for path in pictures] == ["002.png", "004.png"]
    width, height = Image.open(pictures[0]).size
    factor = height // (6 * 5 + 1)
    assert (width, height) == ((16 * 5 + 1) * factor, (6 * 5 + 1) * factor)
    page = write_report(run / "run").read_text("utf-8")
    assert page.count("data:image/png;base64") >= 4
    assert "step 2</figcaption>" in page
    assert "step 2, failures</figcaption>" in page


def test_failures_are_drawn_beside_the_first_rows(run):
    """The strips of the twenty rows that come back worst, sixteen of each domain."""
    model = GenModel.from_pretrained(run / "run")
    there = there_and_back(model, images(20, 1, 4, 4), to="y").worst(16)
    here = there_and_back(model, images(20, 1, 4, 4, seed=1), to="x").worst(16)
    expected = strips([*there.stages(), *here.stages()])
    found = Image.open(run / "run" / "samples" / "stage-000-step-000000004-failures.png")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_strips_and_arrays_are_written_either_way(run, capsys):
    both = f"--data {run}/x.npz --data-y {run}/y.npz"
    code, said = command(
        f"translate {run}/run {both} --output {run}/strips.png --num 5 --split train", capsys
    )
    assert code == 0, said
    assert said.startswith("5 examples, translated to y and back (cycle error ")
    assert Image.open(run / "strips.png").size[0] > 300
    code, said = command(f"translate {run}/run {both} --output {run}/a.npz --num 7 --to x", capsys)
    assert code == 0, said
    found = np.load(run / "a.npz")
    assert sorted(found) == ["back", "source", "translated"]
    rows = {row.tobytes() for row in np.load(run / "y.npz")["x"]}
    assert len({row.tobytes() for row in found["source"]} & rows) == 7


def test_a_second_domain_is_translated_as_it_is_alone_and_a_seed_draws_examples(run, capsys):
    found = {}
    for name, flags in {
        "pair": f"--data {run}/x.npz --data-y {run}/y.npz --num 20 --to x",
        "alone": f"--data {run}/y.npz --num 20 --to x",
        "three": f"--data {run}/x.npz --num 3",
        "again": f"--data {run}/x.npz --num 3 --seed 0",
        "other": f"--data {run}/x.npz --num 3 --seed 1",
    }.items():
        code, said = command(f"translate {run}/run {flags} --output {run}/{name}.npz", capsys)
        assert code == 0, said
        found[name] = dict(np.load(run / f"{name}.npz"))
    np.testing.assert_array_equal(found["pair"]["source"], np.load(run / "y.npz")["x"])
    np.testing.assert_array_equal(found["pair"]["translated"], found["alone"]["translated"])
    np.testing.assert_array_equal(found["three"]["source"], found["again"]["source"])
    assert not np.array_equal(found["three"]["source"], found["other"]["source"])


def test_failures_are_looked_for_among_all_rows(run, capsys):
    code, said = command(
        f"translate {run}/run --data {run}/x.npz --view failures --num 3 --output {run}/f.npz",
        capsys,
    )
    assert code == 0, said
    assert "The 3 of 20 examples with the largest cycle error" in said
    found = np.load(run / "f.npz")
    errors = np.abs(found["back"] - found["source"]).mean((1, 2, 3))
    assert errors.tolist() == sorted(errors, reverse=True)


def test_what_does_not_translate_is_refused_with_what_does(tmp_path, run, capsys):
    create_model("rbm", event=Binary(shape=(1, 4, 4)), num_hidden=2).save_pretrained(
        tmp_path / "rbm"
    )
    code, said = command(
        f"translate {tmp_path}/rbm --data {run}/x.npz --output {run}/s.png", capsys
    )
    assert code == 2
    assert "RBM does not translate. Draw samples from it: genzoo sample." in said
    code, said = command(f"sample {run}/run --num 3 --output {run}/s.png", capsys)
    assert code == 2
    assert "genzoo translate" in said
    code, said = command(f"translate {run}/run --data {run}/x.npz --output {run}/s.jpg", capsys)
    assert code == 2
    assert "--output must end in .png or .npz" in said


def test_training_says_how_to_go_on_with_translations(run, capsys):
    both = f"--data {run}/x.npz --data-y {run}/y.npz"
    code, said = command(
        f"train toy-cycle {both} --output {run}/again --trainer.max-steps 1", capsys
    )
    assert code == 0, said
    assert f"genzoo translate {run}/again --output strips.png" in said
