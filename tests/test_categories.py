"""Digits as 17 categories, and an alphabet: data of categories go all the way."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genzoo
from families import None_, learned_by, sampled_by
from genzoo import Categorical, GenModel, register
from genzoo.cli import main
from genzoo.data import ArrayDataset
from genzoo.errors import DataError
from genzoo.plugin import (
    Config,
    GenerativeModel,
    LogProb,
    Loss,
    Objective,
    Sampler,
    Space,
    by_blocks,
)
from genzoo.showing import picture_of
from genzoo.testing import run_checks


@dataclass(frozen=True, kw_only=True)
class PlacesConfig(Config):
    """A distribution over the categories of each place."""

    event: Space


@register("models", "toy-places")
class Places(GenerativeModel):
    """Each place has a distribution of its own over the categories: an exact likelihood."""

    Config = PlacesConfig
    event_spaces = (Categorical,)

    def __init__(self, config):
        super().__init__(config)
        shape = (self.event.num_dims, self.event.num_categories)
        self.logits = nn.Parameter(torch.zeros(shape))

    @classmethod
    def example(cls):
        rows = torch.randint(3, (8, 2, 2), generator=torch.Generator().manual_seed(0))
        return PlacesConfig(event=Categorical(shape=(2, 2), num_categories=3)), {"x": rows}

    default_stages = learned_by("toy-places")

    default_sampler = sampled_by("toy-places")

    def log_p(self, x):
        log_p = self.logits.log_softmax(1).expand(len(x), -1, -1)
        return log_p.gather(2, x.flatten(1)[..., None]).sum((1, 2))

    def log_prob(self, x, *, condition=None, generator=None, num_samples=None):
        x = self.checked_rows(x)
        self.checked_condition(condition, len(x))
        values = by_blocks(lambda rows: self.log_p(x[rows]), len(x), 1000)
        return LogProb(values=values, kind="exact", measure="mass")


@register("samplers", "toy-places")
class Draw(Sampler):
    Config = None_
    requires = (Places,)

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        p = model.logits.softmax(1)
        u = torch.rand(num, len(p), 1, generator=generator, dtype=p.dtype)
        broken = torch.where(p.isfinite().all(), 0.0, torch.nan)
        x = (p.cumsum(1) <= u).sum(2).clamp_max(p.shape[1] - 1)
        # A comparison hides NaN, and whole numbers have none.
        if bool(broken.isnan()):
            yield torch.full((num, *model.event_shape), torch.nan)
            return
        yield x.reshape(num, *model.event_shape)


@register("objectives", "toy-places")
class PlacesLoss(Objective):
    Config = None_
    requires = (Places,)

    def losses(self, batch, step):
        yield Loss(-self.model.log_p(batch["x"]).mean())


def test_it_passes_the_conformance_suite():
    wrong = [(o.check, o.message) for o in run_checks("toy-places") if o.status == "failed"]
    assert wrong == []


def run(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(
            "train toy-places --data digits --data.space categorical --trainer.max-steps 300 "
            "--trainer.batch-size 250 --trainer.optimizers.model.lr 0.1 --trainer.threads 1 "
            "--trainer.sample-steps 150 --output run"
        )
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_digits_are_loaded_trained_stored_and_sampled_as_17_categories(folder):
    model = GenModel.from_pretrained("run")
    assert model.event == Categorical(shape=(1, 8, 8), num_categories=17)
    pictures = sorted((folder / "run" / "samples").iterdir())
    assert [path.suffix for path in pictures] == [".png", ".png"]
    run("sample run --num 9 --seed 0 --output x.npz")
    with np.load("x.npz") as arrays:
        x = arrays["x"]
    assert x.dtype == np.int64
    assert x.shape == (9, 1, 8, 8)
    assert 0 <= x.min() <= x.max() <= 16
    run("sample run --num 9 --seed 0 --output x.png --trajectory way.png")
    shown = np.asarray(Image.open("x.png"))
    expected = picture_of(model.event, torch.from_numpy(x))
    assert np.array_equal(shown, np.asarray(expected))
    assert shown.max() > 200


def test_their_likelihood_is_that_of_the_counts(folder):
    """With as many steps the maximum of the likelihood is reached: the frequencies of a place."""
    data = genzoo.load_dataset("digits", space="categorical")
    x = data.head(len(data))["x"].flatten(1)
    counts = torch.nn.functional.one_hot(x, 17).sum(0).double()
    p = counts / counts.sum(1, keepdim=True)
    entropy = -torch.where(p > 0, p * p.log(), 0).sum().item()
    figures = genzoo.evaluate(GenModel.from_pretrained("run"), data, ["log-likelihood"]).figures
    assert figures["log-likelihood"].value == pytest.approx(-entropy, rel=0.02)
    bits = figures["bits-per-dimension"].value
    assert bits == pytest.approx(-figures["log-likelihood"].value / (64 * math.log(2)))
    assert figures["log-likelihood"].kind == "exact"


def test_they_are_judged_verified_and_have_a_card_and_a_report(folder, capsys):
    # The distances of features take minutes: one-hot rows have 1,088 dimensions.
    metrics = "log-likelihood two-sample precision-recall"
    run(f"evaluate run --card --max-examples 297 --metrics {metrics}")
    out = capsys.readouterr().out
    assert {"log-likelihood", "two-sample"} <= {
        line.split()[0] for line in out.splitlines() if line
    }
    run("evaluate run --verify")
    assert "differs" not in capsys.readouterr().out
    run("card run --num 9")
    run("report run")
    text = (folder / "run" / "README.md").read_text()
    assert "1 × 8 × 8: whole numbers from 0 to 16" in text
    assert "from genzoo.showing import save_picture" in text
    snippet = text.split("```python\n")[1].split("```")[0]
    exec(compile(snippet.replace('"run"', '"./run"'), "card", "exec"), {})  # noqa: S102 - the card's own
    assert Image.open("picture.png").size[0] > 0


def test_grey_levels_of_another_number_do_not_fit(folder):
    with pytest.raises(DataError, match="Places models categorical data; these are unit"):
        genzoo.evaluate(GenModel.from_pretrained("run"), genzoo.load_dataset("digits"))


LETTERS = Categorical(shape=(5,), num_categories=27, names=tuple("abcdefghijklmnopqrstuvwxyz-"))


def test_rows_of_an_alphabet_are_shown_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["zebra", "a-b-c", "hello", "boots"]
    rows = torch.tensor([["abcdefghijklmnopqrstuvwxyz-".index(c) for c in w] for w in words])
    assert LETTERS.lines(rows) == words
    data = ArrayDataset(rows, genzoo.DataInfo(fields={"x": LETTERS}), "words")
    model = Places(PlacesConfig(event=LETTERS))
    config = genzoo.TrainerConfig(max_steps=3, batch_size=4, sample_steps=3, progress=False)
    genzoo.Trainer(model, data, config=config, output_dir="run").fit()
    again = GenModel.from_pretrained("run")
    assert again.event == LETTERS
    assert len(LETTERS.lines(again.sample(3, seed=0))[0]) == 5
    run("sample run --num 4 --seed 0 --output words.png")
    image = np.asarray(Image.open("words.png"))
    assert image.min() < 100
    assert image.max() > 250
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["config"]["event"]
    assert stored["config"]["names"][:3] == ["a", "b", "c"]


QUICK = "--trainer.max-steps 2 --trainer.batch-size 4 --trainer.threads 1 --trainer.sample-steps 2"


def test_blocks_of_a_text_file_are_learned_and_samples_are_lines_of_text(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("To be,\nor not.\n" * 9)
    run(f"train toy-places --data notes.txt --data.length 6 --output run {QUICK}")
    model = GenModel.from_pretrained("run")
    assert model.event.names == tuple("\n ,.Tbenort")
    run("sample run --num 3 --seed 0 --output x.txt")
    run("sample run --num 3 --seed 0 --output x.npz")
    with np.load("x.npz") as arrays:
        expected = model.event.lines(torch.from_numpy(arrays["x"]))
    found = (tmp_path / "x.txt").read_text("utf-8").split("\n")
    assert found == [*expected, ""]
    assert {len(line) for line in expected} == {6}
    for flag, said in (
        ("--data.length 0", "TextFileConfig.length must be in [1, 65536], got 0."),
        ("--data.alphabet abc", "notes.txt has 'T' in line 1, which is not in the alphabet"),
    ):
        run(f"train toy-places --data notes.txt {flag} --output other {QUICK}", code=2)
        assert said in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_words_are_stored_with_their_padding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("\n".join(a + b + "z" for a in "abcdefg" for b in "hijklmn"))
    flags = "--data.path list --data.max-length 4"
    run(f"train toy-places --data words {flags} --output run {QUICK}")
    event = GenModel.from_pretrained("run").event
    assert (event.shape, event.num_categories, event.padding) == ((4,), 27, 26)
    stored = (tmp_path / "run" / "recipe.toml").read_text("utf-8")
    assert 'path = "list"' in stored


def test_greys_of_eight_levels_are_categories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = "--data digits --data.levels 8 --data.space categorical"
    run(f"train toy-places {flags} --output run {QUICK}")
    model = GenModel.from_pretrained("run")
    assert model.event == Categorical(shape=(1, 8, 8), num_categories=8)
    run("sample run --num 3 --seed 0 --output x.txt", code=2)
    assert not (tmp_path / "x.txt").exists()
