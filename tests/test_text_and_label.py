"""A model conditioned on a text and a label together, in one file: nothing of the core changes."""

import json
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genzoo
from families import None_, learned_by, sampled_by
from genzoo import DataInfo, GenModel, Label, Text, Unit, register
from genzoo.cli import main
from genzoo.conditions import drop_conditions, null_conditions
from genzoo.errors import ConditionError, DataError
from genzoo.plugin import (
    Bounds,
    ConditionSpaces,
    Config,
    GenerativeModel,
    Loss,
    Objective,
    Sampler,
    Space,
)
from genzoo.testing import run_checks


@dataclass(frozen=True, kw_only=True)
class ToldConfig(Config):
    """Pictures that are told of by a text and a label."""

    event: Space
    conditions: ConditionSpaces = field(default_factory=dict)
    condition_dropout: Annotated[float, Bounds(0.0, 1.0)] = 0.2
    condition_dropout_each: Annotated[float, Bounds(0.0, 1.0)] = 0.0


@register("models", "toy-told")
class Told(GenerativeModel):
    """x = a + B one-hot(label) + c · (length of the text), with noise; null adds nothing."""

    Config = ToldConfig
    event_spaces = (Unit,)
    condition_spaces = (Label, Text)

    def __init__(self, config):
        super().__init__(config)
        size = self.event.num_dims
        self.mean = nn.Parameter(torch.zeros(size))
        self.parts = nn.ModuleDict(
            {name: nn.Linear(space.count or 1, size) for name, space in self.conditions.items()}
        )

    @classmethod
    def example(cls):
        spaces = {"label": Label(num_classes=3), "text": Text()}
        config = ToldConfig(event=Unit(shape=(1, 4, 4)), conditions=spaces)
        x = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        texts = ["a", "a boot", "", "two", "a", "b", "c", "three words here"]
        return config, {"x": x, "label": torch.arange(8) % 3, "text": texts}

    default_stages = learned_by("toy-told")

    default_sampler = sampled_by("toy-told")

    def means(self, given, num):
        found = self.mean.expand(num, -1)
        for name, values in given.items():
            space, known = self.conditions[name], ~self.conditions[name].is_null(values)
            if name == "text":
                rows = torch.tensor([[len(text) / 10] for text in values], dtype=self.dtype)
            else:
                rows = space.vectors(values.clamp_min(0)).to(self.dtype)
            found = found + known[:, None] * self.parts[name](rows)
        return found.reshape(num, *self.event_shape)


@dataclass(frozen=True, kw_only=True)
class DrawConfig(Config):
    """How samples are drawn."""

    guidance_scale: Annotated[float, Bounds(0.0, 100.0)] = 1.0


@register("samplers", "toy-told")
class Draw(Sampler):
    Config = DrawConfig
    requires = (Told,)

    def trajectory(self, model, num, *, start=None, condition, generator):
        model = self.checked(model)
        mean = model.means(condition, num)
        if self.config.guidance_scale != 1:
            nothing = model.means(null_conditions(model, num), num)
            mean = nothing + self.config.guidance_scale * (mean - nothing)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        yield mean + 0.01 * noise


@register("objectives", "toy-told")
class ToldLoss(Objective):
    Config = None_
    requires = (Told,)

    def losses(self, batch, step):
        model, config = self.model, self.model.config
        given = drop_conditions(
            model.conditions_of(batch),
            model.conditions,
            step.generator,
            together=config.condition_dropout,
            each=config.condition_dropout_each,
        )
        yield Loss((model.means(given, len(batch["x"])) - batch["x"]).square().sum(1).mean())


def test_it_passes_the_conformance_suite():
    wrong = [(o.check, o.message) for o in run_checks("toy-told") if o.status == "failed"]
    assert wrong == []


def run(line, code=0):
    with pytest.raises(SystemExit) as left:
        main(line if isinstance(line, list) else line.split())
    assert left.value.code == code


TRAIN = (
    "train toy-told --data digits --data.captions --model.conditions label text "
    "--trainer.max-steps 60 --trainer.batch-size 64 --trainer.threads 1 --output told"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model that was trained by the command line."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(TRAIN)
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def test_it_is_trained_stored_and_loaded_with_both_spaces(folder):
    model = GenModel.from_pretrained("told")
    assert list(model.conditions) == ["label", "text"]
    assert model.conditions["label"] == Label(num_classes=10, names=tuple("0123456789"))
    assert model.conditions["text"].templates
    stored = json.loads((folder / "told" / "config.json").read_text())["config"]["conditions"]
    assert stored["label"]["name"] == "label"


def test_each_condition_is_heeded_and_what_is_left_out_is_null(folder):
    model = GenModel.from_pretrained("told")

    def mean(**condition):
        return model.sample(4, seed=0, condition=condition)

    both = mean(label=3, text="a photo of 3")
    assert not torch.allclose(both, mean(label=4, text="a photo of 3"), atol=1e-3)
    assert not torch.allclose(both, mean(label=3), atol=1e-3)
    assert torch.equal(mean(), model.sample(4, seed=0, condition={"label": -1, "text": ""}))


def test_guidance_leads_away_from_all_null(folder):
    model = GenModel.from_pretrained("told")
    given = {"label": 3, "text": "a photo of 3"}

    def drawn(guidance, condition=given):
        sampler = Draw(DrawConfig(guidance_scale=guidance))
        return model.sample(4, seed=0, condition=condition, sampler=sampler)

    nothing = drawn(1.0, {})
    torch.testing.assert_close(drawn(3.0), nothing + 3 * (drawn(1.0) - nothing))
    torch.testing.assert_close(drawn(0.0), nothing)


def test_without_dropping_nothing_may_be_left_out_and_guidance_is_refused():
    config, _ = Told.example()
    strict = Told(ToldConfig(**{**vars(config), "condition_dropout": 0.0}))
    with pytest.raises(ConditionError, match=r"needs a text for each sample\. .*--text"):
        strict.sample(2, condition={"label": 1})
    guided = Draw(DrawConfig(guidance_scale=2.0))
    with pytest.raises(ConditionError, match="cannot do without them"):
        strict.sample(2, condition={"label": 1, "text": "a"}, sampler=guided)


def test_the_command_line_names_both(folder, capsys):
    flags = ["--label", "3", "--condition.text", "a photo of 3", "--sampler", "toy-told"]
    run(["sample", "told", "--num", "4", "--seed", "0", "--output", "a.npz", *flags])
    model = GenModel.from_pretrained("told")
    x = model.sample(4, seed=0, condition={"label": 3, "text": "a photo of 3"})
    with np.load("a.npz") as arrays:
        assert np.array_equal(arrays["x"], x.numpy())
    two = ["--label", "3", "--label", "4", "--text", "a photo", "--output", "rows.png"]
    run(["sample", "told", "--num", "6", "--seed", "0", *two])
    assert Image.open("rows.png").size[0] > 0
    run(["sample", "told", "--num", "2", "--label", "11", "--output", "b.npz"], code=2)
    assert "not in 0 to 9" in capsys.readouterr().err


def test_it_is_judged_and_has_a_card_and_a_report(folder, capsys):
    run("evaluate told --max-examples 200 --card")
    assert "label-accuracy" in capsys.readouterr().out
    run("card told --num 9")
    run("report told")
    text = (folder / "told" / "README.md").read_text()
    assert r"label \(labels from 0 to 9\); text \(texts\)" in text
    run("inspect told")
    assert "label: labels from 0 to 9; text: texts" in capsys.readouterr().out


def test_names_that_the_data_do_not_have_or_the_model_does_not_take_are_refused(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    run(TRAIN.replace("label text", "lable"), code=2)
    assert "needs the field lable of the data; they have x, label, text" in capsys.readouterr().err
    run(TRAIN.replace("label text", "x"), code=2)
    assert "models x, which cannot be its condition too" in capsys.readouterr().err
    assert not (tmp_path / "told").exists()
    with pytest.raises(DataError, match=r"needs the field text of the data.*--data\.captions"):
        Told.configure(genzoo.load_dataset("digits").info, conditions=("text",))
    two = DataInfo(fields={"x": Unit(shape=(1, 8, 8)), "y": Unit(shape=(1, 8, 8))})
    with pytest.raises(genzoo.ConfigError, match="takes label or text conditions; y is"):
        Told.configure(two, conditions=("y",))
