"""Pictures during training: how many by default, what they show, and that they only look on."""

import pytest
import torch
from PIL import Image

import families
import genzoo
from fitting import DATA
from genzoo import Component, TrainerConfig, register
from genzoo.plugin import Sampler
from genzoo.sample_metadata import SampleMetadata
from genzoo.sampling import preview_sampler
from genzoo.showing import picture_of
from genzoo.training.pictures import Timetable, timetable
from test_resume import chains, equal, forget_after, game


def due(table):
    return [step for step in range(1, table.total + 1) if table.is_due(step)]


@pytest.mark.parametrize(
    ("values", "states", "number", "rows"),
    [
        ({"max_steps": 10_000, "batch_size": 100}, 1, 10, 64),
        ({"max_steps": 10_000, "batch_size": 128}, 20, 10, 64),
        ({"max_steps": 3000, "batch_size": 32}, 20, 10, 24),  # Fewer images,
        ({"max_steps": 3000, "batch_size": 64}, 1000, 1, 16),  # and fewer pictures.
        ({"max_steps": 20_000, "batch_size": 1}, 4, 10, 25),
        ({"max_steps": 600, "batch_size": 64}, 1, 3, 64),
        ({"max_steps": 3, "batch_size": 8}, 20, 1, 16),
    ],
)
def test_pictures_are_few_where_they_would_cost_much(values, states, number, rows):
    table = timetable(TrainerConfig(**values), states)
    assert (table.number, table.rows) == (number, rows)
    steps = due(table)
    assert len(steps) == number
    assert steps[-1] == values["max_steps"]
    gaps = [b - a for a, b in zip([0, *steps], steps, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_steps_that_are_given_are_kept_and_zero_draws_none():
    values = {"max_steps": 1000, "batch_size": 4}
    assert due(timetable(TrainerConfig(**values, sample_steps=300), 1000)) == [300, 600, 900]
    off = timetable(TrainerConfig(**values, sample_steps=0), 1)
    assert due(off) == []
    assert not off.is_due(1000, last=True)


@pytest.mark.parametrize("make", [game, chains])
def test_pictures_do_not_change_the_weights(make, tmp_path):
    found = [make(tmp_path / str(n), sample_steps=n).fit().state_dict() for n in (0, 5)]
    assert not (tmp_path / "0" / "samples").exists()
    assert len(list((tmp_path / "5" / "samples").iterdir())) == 2
    assert equal(*found)


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / "samples").iterdir()}


def test_a_resumed_run_has_the_pictures_of_the_straight_one(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "genzoo.training.pictures.timetable",
        lambda config, states: Timetable(config.max_steps, None, number=2, rows=16),
    )
    straight, stopped = tmp_path / "a", tmp_path / "b"
    for folder in (straight, stopped):
        chains(folder).fit()
    forget_after(stopped, 8)
    for path in (stopped / "samples").iterdir():
        path.unlink()
    chains(stopped).fit(resume=True)
    before = files(straight)
    assert sorted(before) == [f"stage-000-step-{step:09d}.png" for step in (6, 12)]
    assert files(stopped) == {name: before[name] for name in before if "12" in name}


def test_a_vae_shows_means_and_says_so(tmp_path):
    data = genzoo.load_dataset("digits", limit=64)
    torch.manual_seed(0)
    model = genzoo.create_model("vae", data=data, hidden_dims=(8,))
    config = TrainerConfig(max_steps=2, batch_size=8, progress=False)
    genzoo.Trainer(model, data, config=config, output_dir=tmp_path).fit()
    (path,) = (tmp_path / "samples").iterdir()
    told = SampleMetadata.read(path)
    assert (told.num, told.sampler, told.sampler_config["output"]) == (16, "prior", "mean")
    x = model.sample(16, seed=told.seed, sampler=preview_sampler(model))
    saved = tmp_path / "again.png"
    picture_of(model.event, x).save(saved)
    assert equal_pixels(path, saved)


def equal_pixels(a, b):
    with Image.open(a) as one, Image.open(b) as other:
        return one.tobytes() == other.tobytes()


@register("samplers", "toy-broken-preview")
class Broken(Sampler):
    """A sampler that is not finished."""

    Config = families.None_

    def trajectory(self, model, num, *, start=None, condition=None, generator):
        raise RuntimeError("not finished")
        yield


def test_a_sampler_that_fails_leaves_out_pictures_with_a_word(tmp_path, caplog, monkeypatch):
    broken = classmethod(lambda cls, config: Component(name="toy-broken-preview"))
    monkeypatch.setattr(families.Linear, "preview_sampler", broken)
    config = TrainerConfig(max_steps=4, batch_size=8, sample_steps=1, progress=False)
    genzoo.Trainer(families.linear(), DATA, config=config, output_dir=tmp_path).fit()
    assert (tmp_path / "model.safetensors").exists()
    assert not (tmp_path / "samples").exists()
    said = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    (only,) = said
    assert only.endswith("--trainer.sample-steps 0 draws none): RuntimeError: not finished")


def test_pictures_that_nothing_looks_at_are_not_drawn(monkeypatch):
    def fail(*given):
        raise AssertionError("drawn")

    monkeypatch.setattr("genzoo.training.pictures.Pictures.draw", fail)
    config = TrainerConfig(max_steps=2, batch_size=8, sample_steps=1, progress=False)
    genzoo.Trainer(families.linear(), DATA, config=config).fit()
