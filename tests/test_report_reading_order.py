"""What a report says first: the state of a run, its samples, what its curves mean, its figures."""

import json
from pathlib import Path
from typing import ClassVar

import filelock
import pytest

import families
import genzoo
from fitting import DATA
from genzoo import register
from genzoo.errors import ConfigError, TrainingInterrupted
from genzoo.goal import Goal
from genzoo.meaning import Meaning
from genzoo.report import write_report
from genzoo.training import Callback
from genzoo.training.folder import is_locked
from genzoo.training.meanings import read_meanings
from genzoo.training.status import read_status
from reports import evaluation, page_of, row, unfinished, write_log


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@register("objectives", "toy-meaning")
class Told(families.LeastSquares):
    """Least squares that say what their figures are."""

    meanings: ClassVar = {
        "loss": Meaning(
            "squared distance from one", "units", Goal("lower", 0.0), "it falls to zero"
        )
    }


class Ending(Callback):
    def __init__(self, error):
        self.error = error

    def on_step(self, state, row):
        raise self.error


def fit(folder, *callbacks, objective="toy-meaning", **values):
    config = genzoo.TrainerConfig(
        **{"max_steps": 4, "batch_size": 8, "logging_steps": 2, "progress": False} | values
    )
    trainer = genzoo.Trainer(
        families.linear(), DATA, objective, config, output_dir=folder, callbacks=callbacks
    )
    return trainer.fit()


@pytest.mark.parametrize(
    ("error", "state", "title"),
    [
        (TrainingInterrupted("Stopped after step 1.", 15), "stopped", "Stopped"),
        (RuntimeError("the cable <b> is out"), "failed", "Failed"),
    ],
)
def test_a_run_that_ends_early_says_how_and_why(error, state, title):
    with pytest.raises(type(error)):
        fit("run", Ending(error))
    assert read_status(Path("run", "status.json").read_text()).state == state
    text = page_of(Path("run")).text
    assert f"\n{title}\n" in text
    assert str(error) in text
    assert "--resume" in text
    assert text.index(str(error)) < text.index("Samples")


def test_a_run_that_trains_says_how_long_it_still_takes():
    rows = [row(step, loss=2.0) | {"examples_per_second": 64.0} for step in (50, 100)]
    folder = unfinished("run", *rows)
    (folder / "status.json").write_text('{"state": "running"}')
    with filelock.FileLock(folder / ".lock"):
        text = page_of(folder).text
    assert "Running" in text
    assert "about 7 minutes left" in text  # 400 updates of 64 examples.
    assert "--resume" not in text
    text = page_of(folder).text  # It holds no lock now.
    assert "Stopped" in text
    assert "killed" in text


def test_looking_for_a_lock_leaves_nothing(tmp_path):
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_curves_have_the_words_of_the_objective_and_claim_nothing_of_others():
    fit("run")
    assert read_status(Path("run", "status.json").read_text()).state == "finished"
    write_log("run", row(2, loss=1.0, mystery=2.0), row(4, loss=0.5, mystery=3.0))
    text = page_of(Path("run")).text
    assert "Squared distance from one. Lower is better, 0 is the best. Healthy: it falls" in text
    assert "units" in text
    told = text[text.index("mystery") : text.index("Evaluation", text.index("mystery"))]
    assert "Healthy" not in told
    assert "better" not in told


def test_the_page_shows_samples_then_curves_then_figures_and_folds_the_rest():
    folder = unfinished("run", row(1, loss=1.0))
    (folder / "evaluation.json").write_text(
        evaluation(goal={"direction": "higher", "best": 1}, reference={"value": 0.5, "kind": "k"})
    )
    page = page_of(folder)
    order = ["Not finished", "There are no samples", "Curves", "-17.65 ± 0.27", "recipe.toml\n"]
    places = [page.text.index(text, page.text.index("card\n")) for text in order[1:]]
    assert places == sorted(places)
    assert page.text.index(order[0]) < places[0]
    assert "↑ 1" in page.text
    assert "0.50 (k)" in page.text
    assert ("details", "open", "") not in page.attributes
    hashed = page.text.index("seed")
    assert hashed > page.text.index("Settings and details")


def test_held_out_values_share_the_picture_and_mark_the_best_step():
    rows = [row(step, loss=9.0 - step) for step in range(1, 6)]
    held_out = [{"stage": 0, "step": s, "eval/loss": v} for s, v in ((1, 9.0), (3, 7.0), (5, 8.0))]
    page = page_of(unfinished("run", *rows, *held_out))
    assert page.elements.count("svg") == 1
    assert "The best loss on held-out rows is 7 at step 3" in page.text
    assert "held out 8" in page.text
    assert "held out: lowest 7 at step 3" in page.text


@pytest.mark.filterwarnings("error")
def test_a_single_logged_value_shares_a_picture_with_more_that_are_held_out():
    held_out = [{"stage": 0, "step": s, "eval/loss": 1e5 + s} for s in (10, 5000)]
    page = page_of(unfinished("run", *held_out, row(5000, loss=1e5)))
    assert page.elements.count("svg") == 1


def test_meanings_of_a_folder_are_untrusted_and_those_of_an_objective_are_checked():
    stored = {"0": {"loss": {"what": 3}, "kl": {"what": "k", "goal": {"direction": "up"}}}, "x": 1}
    assert read_meanings(json.dumps(stored)) == {0: {"kl": Meaning("k")}}
    assert read_meanings("[") == {}
    with pytest.raises(ConfigError, match="says what the figure is"):
        Meaning("")


def test_every_objective_says_what_its_loss_is():
    for name in genzoo.registry.names("objectives"):
        entry = next(e for e in genzoo.registry.entries("objectives") if e.name == name)
        if entry.distribution == "genzoo":
            meanings = genzoo.registry.load("objectives", name).meanings
            assert any(key == "loss" or key.endswith("/loss") for key in meanings), name


def test_a_model_folder_shows_its_own_picture(tmp_path):
    fit("run")
    for name in ("metrics.jsonl", "recipe.toml", "status.json"):
        Path("run", name).unlink()
    Path("run", "samples", "stage-000-step-000000004.png").rename("run/samples.png")
    page = page_of(Path("run"))
    assert "A model" in page.text
    assert page.elements.count("img") == 1
    assert "samples.png: 16 samples by" in page.text
    assert write_report("run").exists()
