"""A run that goes on with another number of updates."""

import json
import shutil
import tomllib

import pytest

from genzoo.errors import CheckpointError
from test_resume import equal, forget_after, game


def rates(folder):
    rows = map(json.loads, (folder / "metrics.jsonl").open())
    return {row["step"]: row["critic/lr"] for row in rows}


def test_with_a_constant_rate_it_is_the_longer_run(tmp_path):
    longer = game(tmp_path / "longer", steps=20, lr_scheduler="constant").fit()
    game(tmp_path / "two", lr_scheduler="constant").fit()
    extended = game(tmp_path / "two", steps=20, lr_scheduler="constant").fit(resume=True)
    assert equal(longer.state_dict(), extended.state_dict())
    assert rates(tmp_path / "two") == rates(tmp_path / "longer")


def test_schedules_follow_the_new_total_from_the_current_step(tmp_path, caplog):
    caplog.set_level("INFO", logger="genzoo")
    game(tmp_path, warmup_steps=0).fit()
    game(tmp_path, steps=20, warmup_steps=0).fit(resume=True)
    # The row of a step has the rate of the next update.
    expected = {step: 0.01 * (1 - step / (12 if step <= 12 else 20)) for step in range(1, 21)}
    assert rates(tmp_path) == pytest.approx(expected, abs=1e-12)
    assert "has made 12 of 12 updates and now gets 20" in caplog.text
    assert "follow the new total from here on" in caplog.text


def test_the_first_rate_after_it_is_that_of_the_new_total(tmp_path):
    game(tmp_path, warmup_steps=0).fit()
    before = game(tmp_path, warmup_steps=0).fit(resume=True).state_dict()
    after = game(tmp_path, steps=13, warmup_steps=0, ema_decay=0.0)
    with pytest.raises(CheckpointError, match="ema_decay"):
        after.fit(resume=True)
    after = game(tmp_path, steps=13, warmup_steps=0).fit(resume=True).state_dict()
    assert not equal(before, after), "The rate at the old end is 0."


def test_its_recipe_says_so(tmp_path):
    game(tmp_path).fit()
    for steps in (14, 16):
        game(tmp_path, steps=steps).fit(resume=True)
    text = (tmp_path / "recipe.toml").read_text()
    assert tomllib.loads(text)["trainer"]["max_steps"] == 16
    assert [line.split(".")[0] for line in text.splitlines() if line.startswith("#")] == [
        "# The run has made 12 of 12 updates and now gets 14",
        "# The run has made 14 of 14 updates and now gets 16",
    ]


def test_killed_after_that_it_resumes_bit_exactly(tmp_path):
    game(tmp_path / "straight").fit()
    straight = game(tmp_path / "straight", steps=24).fit(resume=True).state_dict()
    for step in (12, 16, 20):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "straight", folder)
        forget_after(folder, step)
        assert equal(straight, game(folder, steps=24).fit(resume=True).state_dict())


def test_fewer_updates_than_were_made_are_refused(tmp_path):
    game(tmp_path).fit()
    with pytest.raises(CheckpointError, match=r"already made 12 updates, and max_steps is 8\."):
        game(tmp_path, steps=8).fit(resume=True)


def test_patience_counts_anew(tmp_path):
    from test_training_evaluation import PATIENT, log_of, trainer

    trainer(tmp_path, **PATIENT).fit()
    stopped = max(log_of(tmp_path))
    trainer(tmp_path, **{**PATIENT, "max_steps": 60}).fit(resume=True)
    assert max(log_of(tmp_path)) >= stopped + PATIENT["early_stopping_patience"]
