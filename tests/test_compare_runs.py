"""Runs in one table: which figures are shown, what is said of others, and what is refused."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import genzoo
from genzoo.cli import main
from genzoo.comparison.runs import _short
from genzoo.errors import ConfigError, DataError, LoadError
from genzoo.model_files import RECIPE
from genzoo.plotting import to_image

METRICS = ["log-likelihood", "reconstruction-error"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A file of rows, and runs on them: two machines, and an autoencoder."""
    folder = tmp_path_factory.mktemp("runs")
    rows = np.random.default_rng(0).random((120, 6)) < 0.3
    np.savez(folder / "rows.npz", train=rows.astype(np.uint8), test=rows[:12].astype(np.uint8))
    data, held = (genzoo.load_dataset(str(folder / "rows.npz"), s) for s in ("train", "test"))
    for name, family, seed in (("a", "rbm", 0), ("b", "rbm", 1), ("c", "vae", 0)):
        torch.manual_seed(seed)
        model = genzoo.create_model(family, event=data.info["x"])
        config = genzoo.TrainerConfig(
            max_steps=4, eval_steps=2, batch_size=8, logging_steps=1, seed=seed, progress=False
        )
        trainer = genzoo.Trainer(
            model, data, config=config, eval_data=held, output_dir=folder / name
        )
        genzoo.evaluate(trainer.fit(), held, METRICS).save(folder / name)
    return folder


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "runs", ignore=shutil.ignore_patterns("rows.npz"))
    (tmp_path / "runs" / "rows.npz").symlink_to(trained / "rows.npz")  # One file, two names.
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


def test_stored_figures_are_compared(runs):
    found = genzoo.compare_runs(["a", "b", "c"])
    text = str(found)
    assert "a (rbm, " in text
    for name in "abc":
        (stored,) = (runs / name).glob("evaluation-*.json")
        figures = json.loads(stored.read_text())["figures"]
        for figure, estimate in found.evaluations[name].figures.items():
            assert estimate.value == figures[figure]["value"]
    frame = found.to_frame()
    assert list(frame["run"]) == sorted("abc" * 3)
    for said in ("Different samplers: gibbs", "give --data", "≥", "examples 12"):
        assert said in text
    assert not found.differences
    assert "<td>" in found._repr_html_()


def test_a_run_without_figures_on_these_rows_is_said(runs):
    model, data = genzoo.GenModel.from_pretrained("b"), genzoo.load_dataset("rows.npz", "test")
    (stored,) = (runs / "b").glob("evaluation-*.json")
    stored.unlink()
    text = str(genzoo.compare_runs(["a", "b", "c"]))
    assert "b has stored no figures" in text
    genzoo.evaluate(model, data, METRICS, seed=3).save("b")
    found = genzoo.compare_runs(["a", "b", "c"])
    assert "b" not in found.evaluations
    said = " ".join(str(found).split())
    assert "b has stored figures of other rows only: seed 3 instead of 0. Give --data" in said


def test_rows_held_out_of_the_training_split_do_not_touch_the_others(runs):
    (stored,) = (runs / "b").glob("evaluation-*.json")
    found = json.loads(stored.read_text())
    found["provenance"]["data_config"] = {"valid_fraction": 0.1}
    stored.write_text(json.dumps(found))
    assert len(genzoo.compare_runs(["a", "b"]).evaluations) == 2
    found["provenance"]["split"] = "train"
    stored.write_text(json.dumps(found))
    assert len(genzoo.compare_runs(["a", "b"]).evaluations) == 1


def test_figures_of_earlier_weights_are_not_shown(runs):
    model = genzoo.create_model("rbm", event=genzoo.GenModel.from_pretrained("a").event)
    model.save_pretrained("a")
    found = genzoo.compare_runs(["a", "b", "c"])
    assert "a" not in found.evaluations
    assert "is of earlier weights" in str(found)


def test_other_settings_of_a_figure_are_said(runs):
    model, data = genzoo.GenModel.from_pretrained("c"), genzoo.load_dataset("rows.npz", "test")
    metric = genzoo.Component(name="log-likelihood", config={"num_samples": 3})
    (stored,) = (runs / "c").glob("evaluation-*.json")
    stored.unlink()
    genzoo.evaluate(model, data, [metric]).save("c")
    text = " ".join(str(genzoo.compare_runs(["a", "c"])).split())
    assert (
        "Different settings of log-likelihood: default of a; metric_config (num_samples 3)" in text
    )


def test_with_data_runs_are_evaluated_unless_they_stored_the_same(runs, monkeypatch):
    evaluated = []

    def evaluate(model, *args, **options):
        evaluated.append(type(model).__name__)
        return genzoo.evaluate(model, *args, **options)

    monkeypatch.setattr("genzoo.comparison.figures.evaluate", evaluate)
    data = genzoo.load_dataset("rows.npz", "test")
    found = genzoo.compare_runs(["a", "b", "c"], data, METRICS)
    assert evaluated == []
    genzoo.compare_runs(["a", "c"], data, METRICS[:1])
    assert evaluated == []
    genzoo.compare_runs(["a", "c"], data, METRICS, seed=1)
    assert evaluated == ["RBM", "VAE"]
    stored = genzoo.compare_runs(["a", "b", "c"])
    assert found.to_frame().equals(stored.to_frame())
    models = {name: genzoo.GenModel.from_pretrained(name) for name in "abc"}
    assert found.differences == genzoo.compare(models, data).differences
    difference = found.differences["a", "c"]
    (line,) = [line for line in str(found).splitlines() if "a − c" in line]
    marks = [int(mark) for mark in re.findall(r"\[(\d+)\]", line)]
    named = [f"[{mark}] {note.code}: " for mark, note in zip(marks, difference.notes, strict=True)]
    assert marks
    assert all(name in str(found) for name in named)


def test_curves_in_common_are_drawn(runs):
    figure = genzoo.compare_runs(["a", "b", "c"]).plot()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "loss (pcd)"
    assert all("elbo" not in title for title in titles)  # Only one run has it.
    drawn = [line.get_label() for line in figure.axes[0].lines]
    assert drawn == ["a", "a, held-out", "b", "b, held-out"]
    rows = map(json.loads, (runs / "a" / "metrics.jsonl").read_text().splitlines())
    losses = {row["step"]: row["eval/loss"] for row in rows if "eval/loss" in row}
    assert dict(zip(*figure.axes[0].lines[1].get_data(), strict=True)) == losses
    assert np.asarray(to_image(figure)).std() > 0
    with pytest.raises(DataError, match="curve in common"):
        genzoo.compare_runs(["a", "c"]).plot()


def test_a_table_fits_the_width_and_long_names_get_numbers(runs):
    for i in range(4):
        shutil.copytree("a", f"machine-with-a-long-name-{i}")
    names = ["a", "c", *sorted(map(str, Path().glob("machine*")))]
    text = genzoo.compare_runs(names).text(80)
    assert max(map(len, text.splitlines())) <= 80
    assert "[3] machine-with-a-long-name-0 (rbm" in text
    assert text.count("log-likelihood") >= 2  # The table of further runs is below.


def test_names_are_as_short_as_they_distinguish():
    paths = ["/runs/a/best", "/runs/b/best", "/c"]
    assert _short(paths) == ["a/best", "b/best", "c"]


def error_of(line, capsys, code=2):
    with pytest.raises(SystemExit) as left:
        main(line.split())
    printed = capsys.readouterr()
    assert left.value.code == code, printed.err
    return printed.err if code else printed.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a", "at least two runs, got a"),
        ("a b a/../a", "named twice"),
        ("a nowhere", "'nowhere' is not a run or a model"),
        ("a empty", "'empty' is not a run or a model"),
        ("a ada/model", "genzoo pull"),
        ("a unfinished", "without a model yet"),
        ("a other", "figures of different events"),
        ("bare bare2", "None of the runs has stored figures"),
        ("a b --metrics two-sample", "None of the runs has stored figures of two-sample"),
        ("a b --split test", "give --data"),
        ("a b --output x.txt", "must end in .png"),
        ("a b --data digits", "a: "),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(line, said, runs, capsys):
    (runs / "empty").mkdir()
    (runs / "unfinished").mkdir()
    shutil.copy(runs / "a" / RECIPE.name, runs / "unfinished")
    genzoo.create_model("rbm", event=genzoo.Binary(shape=(5,))).save_pretrained("other")
    for name in ("bare", "bare2"):
        genzoo.GenModel.from_pretrained("a").save_pretrained(name)
    error = error_of(f"compare {line}", capsys)
    assert said in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_the_command_prints_the_table_and_writes_files(runs, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    line = "compare a b --data rows.npz --metrics log-likelihood --output c.png --json c.json"
    out = error_of(line, capsys, code=0)
    assert "log-likelihood" in out
    assert "a − b" in out
    assert (runs / "c.png").stat().st_size > 1000
    assert set(json.loads((runs / "c.json").read_text())) == {"a", "b"}


def test_errors_have_their_classes(runs):
    with pytest.raises(ConfigError, match="at least two"):
        genzoo.compare_runs("a")
    with pytest.raises(LoadError, match="not a run"):
        genzoo.compare_runs(["a", "nowhere"])
