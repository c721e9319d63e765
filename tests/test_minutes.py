"""Training for a number of minutes, which becomes a number of updates before the first one."""

import logging
import time
import tomllib

import pytest

import families
import genzoo
from genzoo.errors import ConfigError
from genzoo.progress import words
from genzoo.recipes import train
from genzoo.stage import Recipe
from genzoo.training.callbacks import TrainerState
from genzoo.training.progress import TimeLeft
from test_resume import equal, forget_after, game


class Clock:
    """A clock that moves by a number of seconds each time it is read."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock by which 15 updates of a stage take 15 seconds."""
    monkeypatch.setattr(time, "perf_counter", Clock(15.0))


def minutes(folder, **values):
    return game(folder, steps=None, **{"minutes": 0.2} | values)


def test_the_number_of_updates_is_in_recipe_and_log_and_the_recipe_gives_the_same(
    clock, tmp_path, caplog
):
    caplog.set_level(logging.INFO, logger="genzoo")
    data = {"model": "vae", "data": "digits"}
    recipe = Recipe.from_dict(data | {"trainer": {"minutes": 0.1, "batch_size": 4}})
    first = train(recipe, tmp_path / "run")
    written = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["trainer"]
    assert written["max_steps"] == 6
    assert "minutes" not in written
    assert "0.1 minutes are about 6 updates" in caplog.text
    again = train(Recipe.read(tmp_path / "run" / "recipe.toml"))
    assert equal(first.state_dict(), again.state_dict())


def test_the_updates_are_those_of_a_run_with_that_number(clock, tmp_path):
    """The estimate leaves no trace: not in the model, the chains or the draws."""
    timed = minutes(tmp_path / "timed").fit()
    assert equal(timed.state_dict(), game(None, steps=12).fit().state_dict())


def test_a_resumed_run_does_not_look_at_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", Clock(15.0))
    straight = minutes(tmp_path).fit().state_dict()
    forget_after(tmp_path, 4)
    monkeypatch.setattr(time, "perf_counter", Clock(1.0))
    assert equal(straight, minutes(tmp_path).fit(resume=True).state_dict())
    forget_after(tmp_path, 0)
    assert equal(straight, minutes(tmp_path).fit(resume=True).state_dict())


def test_stages_share_the_minutes(clock):
    model = families.BeliefNet(families.BeliefNet.example()[0])
    config = genzoo.TrainerConfig(minutes=0.2, batch_size=4)
    trainer = genzoo.Trainer(model, families.BeliefNet.example()[1]["x"], config=config)
    trainer.fit()
    assert [c.max_steps for c in trainer.plan.configs] == [6, 6]


def test_minutes_and_a_number_of_updates_exclude_each_other(tmp_path):
    with pytest.raises(ConfigError, match=r"minutes 5 and max_steps 12 exclude each other\."):
        game(tmp_path / "run", minutes=5)
    assert not (tmp_path / "run").exists()


def test_the_time_left_is_said_after_the_first_updates(caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="genzoo")
    monkeypatch.setattr(time, "perf_counter", Clock(20.0))
    state = TrainerState(title="elbo", config=genzoo.TrainerConfig(max_steps=1000))
    callback = TimeLeft()
    for state.step in range(1, 101):
        callback.on_step(state, None)
    assert caplog.messages == ["elbo: about 16 minutes for 979 more updates."]
    assert [words(s) for s in (0.1, 89, 91, 5399, 5401)] == [
        "1 second",
        "89 seconds",
        "2 minutes",
        "90 minutes",
        "1.5 hours",
    ]
