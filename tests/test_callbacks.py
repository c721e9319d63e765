"""Callbacks, the history of a run, and its curves."""

import json
import logging

import pandas
import pytest
from PIL import Image

import genzoo
from genzoo.errors import ConfigError, TrainingInterrupted
from genzoo.training import Callback
from test_resume import forget_after, game
from test_training_evaluation import ROWS, at_rate, trainer


class Watcher(Callback):
    def __init__(self):
        self.seen, self.rows = [], []

    def on_step(self, state, row):
        self.seen.append(("step", state.step))
        if row is not None:
            self.rows.append(row)

    def on_evaluate(self, state, figures):
        self.seen.append(("evaluate", state.step, tuple(figures)))

    def on_checkpoint(self, state, path):
        assert (path / "manifest.json").exists()
        self.seen.append(("checkpoint", state.step))

    def on_sample(self, state, pictures):
        assert all(isinstance(picture, Image.Image) for picture in pictures.values())
        self.seen.append(("sample", state.step, tuple(pictures)))

    def on_end(self, state):
        self.seen.append(("end", state.step))


def digits(folder=None, *callbacks, **values):
    data = genzoo.load_dataset("digits", limit=64)
    model = genzoo.create_model("vae", data=data)
    config = genzoo.TrainerConfig(
        **{"max_steps": 4, "eval_steps": 2, "save_steps": 2, "sample_steps": 4, "logging_steps": 2}
        | values
    )
    return genzoo.Trainer(
        model, data, config=config, eval_data=data, callbacks=callbacks, output_dir=folder
    )


def test_callbacks_are_called_in_the_order_of_what_happens(tmp_path):
    watcher = Watcher()
    digits(tmp_path, watcher).fit()
    figures = watcher.seen[2][2]
    assert figures[0] == "loss"
    assert watcher.seen == [
        ("step", 1),
        ("step", 2),
        ("evaluate", 2, figures),
        ("checkpoint", 2),
        ("step", 3),
        ("step", 4),
        ("evaluate", 4, figures),
        ("sample", 4, ("samples",)),
        ("checkpoint", 4),
        ("end", 4),
    ]
    assert [row["step"] for row in watcher.rows] == [2, 4]
    assert (tmp_path / "samples" / "stage-000-step-000000004.png").exists()


def test_a_callback_sees_the_model_that_would_be_published():
    weights = []

    class Last(Callback):
        def on_step(self, state, row):
            weights.append({k: v.clone() for k, v in state.model.state_dict().items()})

    made = trainer(ema_decay=0.9, **at_rate(0.01))
    made.callbacks.append(Last())
    published = made.fit().state_dict()
    assert all((weights[-1][name] == published[name]).all() for name in published)


def test_a_run_that_fails_or_is_stopped_ends_for_callbacks_too():
    class Failing(Callback):
        def on_step(self, state, row):
            raise TrainingInterrupted("enough", 15)

    watcher = Watcher()
    with pytest.raises(TrainingInterrupted):
        digits(None, Failing(), watcher).fit()
    assert watcher.seen == [("end", 1)]


def test_the_history_is_the_log_and_a_table(tmp_path):
    made = digits(tmp_path)
    made.fit()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert made.history == [json.loads(line) for line in lines]
    table = pandas.DataFrame(made.history)
    assert table["eval/loss"].notna().tolist() == [False, True, False, True]
    assert table["model/loss"].notna().tolist() == [True, False, True, False]


def test_a_resumed_run_keeps_the_history_before(tmp_path):
    game(tmp_path).fit()
    forget_after(tmp_path, 8)
    made = game(tmp_path)
    made.fit(resume=True)
    assert [row["step"] for row in made.history] == list(range(1, 13))


def test_curves_and_evaluations_share_a_panel():
    made = trainer(eval_steps=4, **at_rate(0.01))
    with pytest.raises(ConfigError, match="no curves yet"):
        made.plot()
    made.fit()
    axes = made.plot().axes
    assert axes[0].get_title() == "loss"
    lines = {line.get_label(): line for line in axes[0].get_lines()}
    assert list(lines) == ["model/loss", "eval/loss"]
    assert lines["eval/loss"].get_xdata().tolist() == [4, 8, 12]
    assert [ax.get_title() for ax in made.plot("model/lr").axes] == ["model/lr"]
    with pytest.raises(ConfigError, match="model/lr"):
        made.plot("model/lrr")


def test_stages_follow_each_other_in_a_plot():
    made = trainer(held_out=None)
    made.history[:] = [{"stage": s, "step": t, "a/loss": 1.0} for s in (0, 1) for t in (5, 10)]
    (line,) = made.plot().axes[0].get_lines()
    assert line.get_xdata().tolist() == [5, 10, 15, 20]


def test_lines_are_logged_without_a_terminal(caplog):
    caplog.set_level(logging.INFO, logger="genzoo")
    trainer(max_steps=20, eval_steps=10, held_out=ROWS, **at_rate(0.01)).fit()
    said = [record.getMessage() for record in caplog.records]
    assert sum("elbo step" in text and " of 20: model/loss" in text for text in said) == 10
    assert sum("step 10: eval/loss" in text for text in said) == 1
