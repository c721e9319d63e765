"""Evaluation during training: held-out rows, the best weights, early stopping."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch

import families  # noqa: F401 - registers the toy families
import genzoo
from genzoo import registry
from genzoo.cli import main
from genzoo.data.holding_out import HELD_OUT
from genzoo.errors import CapabilityError, ConfigError, DataError, UnknownNameError
from genzoo.testing import Case
from genzoo.training import checkpoint
from genzoo.training.best import Best


def rows(num, seed=0):
    return torch.randn(num, 4, generator=torch.Generator().manual_seed(seed))


ROWS = rows(60, 1)


def trainer(folder=None, *, name="toy-gan", data=None, held_out=ROWS, **values):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = genzoo.create_model(name, event=genzoo.Real(shape=(4,)))
    config = genzoo.TrainerConfig(
        **{"max_steps": 12, "batch_size": 8, "ema_decay": 0.5, "logging_steps": 1} | values
    )
    data = rows(32) if data is None else data
    return genzoo.Trainer(model, data, config=config, eval_data=held_out, output_dir=folder)


def log_of(folder, key="eval/loss"):
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {row["step"]: row[key] for row in rows if key in row}


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_evaluation_changes_nothing(tmp_path):
    """Not the weights, nor what is logged of training: chains, statistics, random states."""
    plain = trainer(tmp_path / "plain", held_out=None).fit()
    judged = trainer(tmp_path / "judged", eval_steps=1).fit()
    assert equal(plain.state_dict(), judged.state_dict())
    keys = ("critic/loss", "generator/loss", "critic/grad_norm")
    for key in keys:
        assert log_of(tmp_path / "plain", key) == log_of(tmp_path / "judged", key)


@pytest.mark.parametrize(
    ("name", "objective"), [("rbm", "pcd"), ("gan", "unrolled"), ("gan", "wasserstein-gp")]
)
def test_what_an_objective_keeps_is_not_changed(name, objective):
    """Chains; and losses that take derivatives by parameters or by rows are evaluated too."""
    cls = registry.load("models", name)
    data = Case(name, cls).data()

    def fit(held_out, **values):
        torch.manual_seed(0)
        config = genzoo.TrainerConfig(max_steps=4, batch_size=8, **values)
        made = genzoo.Trainer(cls(cls.example()[0]), data, objective, config, eval_data=held_out)
        return made.fit().state_dict(), made.history

    plain, _ = fit(None)
    judged, history = fit(data, eval_steps=2)
    assert equal(plain, judged)
    assert [row["step"] for row in history if any(key[:5] == "eval/" for key in row)] == [2, 4]


def at_rate(lr):
    return {"name": "vae", "optimizers": {"model": {"config": {"lr": lr}}}}


def test_evaluations_make_the_same_draws(tmp_path):
    """With a learning rate of 0 the loss, which draws codes, is the same each time."""
    trainer(tmp_path / "a", eval_steps=3, **at_rate(0.0)).fit()
    trainer(tmp_path / "b", eval_steps=4, logging_steps=7, **at_rate(0.0)).fit()
    found = {*log_of(tmp_path / "a").values(), *log_of(tmp_path / "b").values()}
    assert len(found) == 1
    assert list(log_of(tmp_path / "a")) == [3, 6, 9, 12]


def test_the_averaged_weights_are_judged(tmp_path):
    """They are the first weights if the average keeps these."""
    for decay, num in ((1.0, 1), (0.0, 2)):
        folder = tmp_path / str(decay)
        trainer(folder, eval_steps=6, ema_decay=decay, **at_rate(0.01)).fit()
        assert len(set(log_of(folder).values())) == num


def test_the_loss_is_the_mean_over_all_rows(tmp_path):
    """In eval mode, in blocks: equal to the loss of all rows at once."""
    found = {}
    for size in (7, 60):
        folder = tmp_path / str(size)
        trainer(folder, max_steps=1, batch_size=size, data=ROWS, **at_rate(0.0)).fit()
        found[size] = log_of(folder)[1]
    assert found[7] == pytest.approx(found[60], rel=0.1)  # The noise of the codes differs.


def test_chosen_metrics_are_those_of_the_evaluation(tmp_path):
    made = trainer(tmp_path, name="vae", eval_steps=6, eval_metrics=("reconstruction-error",))
    model = made.fit()
    figures = genzoo.evaluate(model, ROWS, ["reconstruction-error"]).figures
    for name, figure in figures.items():
        assert log_of(tmp_path, f"eval/{name}")[12] == figure.value


BEST = {
    **at_rate(0.03),  # So high that the loss rises again.
    "max_steps": 8,
    "eval_steps": 1,
    "metric_for_best_model": "loss",
    "save_steps": 4,
}


def test_best_and_last_are_kept_and_the_best_is_published(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genzoo")
    made = trainer(tmp_path, **BEST)
    model = made.fit()
    losses = log_of(tmp_path)
    step = min(losses, key=losses.get)
    plain = trainer(max_steps=8, held_out=None, **at_rate(0.03))
    assert f"was after step {step} of 8: these weights are published" in caplog.text
    assert 1 < step < 8, "The test needs a best step in the middle."
    states = {}
    for name in ("", "best", "last"):
        states[name] = genzoo.GenModel.from_pretrained(tmp_path / name).state_dict()
    assert equal(states[""], model.state_dict())
    assert equal(states[""], states["best"])
    assert equal(states["last"], plain.fit().state_dict())
    assert not equal(states["last"], states["best"])


def test_best_and_last_have_the_recipe(tmp_path):
    trainer(tmp_path, **BEST).fit()
    whole = genzoo.Recipe.read(tmp_path / "recipe.toml")
    for name in ("best", "last"):
        assert genzoo.Recipe.read(tmp_path / name / "recipe.toml") == whole


def test_a_recipe_names_other_held_out_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", train=rows(32).numpy(), test=rows(10, 1).numpy())
    held_out = genzoo.load_dataset("rows.npz", "test")
    data = genzoo.load_dataset("rows.npz")
    trainer(tmp_path / "a", **BEST, data=data, held_out=held_out).fit()
    recipe = genzoo.Recipe.read(tmp_path / "a" / "recipe.toml")
    assert (recipe.eval_data, recipe.eval_split) == (genzoo.Component(name="rows.npz"), "test")
    genzoo.train(recipe, tmp_path / "b")
    assert log_of(tmp_path / "a").keys() == log_of(tmp_path / "b").keys()
    assert recipe == genzoo.Recipe.read(tmp_path / "b" / "recipe.toml")


def test_the_last_weights_are_published_if_so_decided(tmp_path):
    model = trainer(tmp_path, **BEST, load_best_model_at_end=False).fit()
    last = genzoo.GenModel.from_pretrained(tmp_path / "last").state_dict()
    assert equal(model.state_dict(), last)


PATIENT = {**BEST, "max_steps": 40, "early_stopping_patience": 3, "save_total_limit": 40}


@pytest.mark.parametrize("back", [1, 2, 3])
def test_an_early_stopped_run_resumes_bit_exactly(back, tmp_path):
    values = {**PATIENT, "save_steps": 1}
    straight = trainer(tmp_path / "straight", **values).fit().state_dict()
    stopped = max(log_of(tmp_path / "straight"))
    assert stopped < 40, "The test needs a run that is stopped early."
    shutil.copytree(tmp_path / "straight", tmp_path / "killed")
    for path in checkpoint.list_checkpoints(tmp_path / "killed" / "checkpoints")[-back:]:
        shutil.rmtree(path)
    resumed = trainer(tmp_path / "killed", **values).fit(resume=True).state_dict()
    assert equal(straight, resumed)
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "straight")
    for name in ("best", "last"):
        one, other = (
            genzoo.GenModel.from_pretrained(tmp_path / run / name).state_dict()
            for run in ("straight", "killed")
        )
        assert equal(one, other)


def test_a_run_that_was_stopped_early_has_ended(tmp_path):
    first = trainer(tmp_path, **PATIENT).fit().state_dict()
    before = log_of(tmp_path)
    assert equal(first, trainer(tmp_path, **PATIENT).fit(resume=True).state_dict())
    assert log_of(tmp_path) == before


def test_patience_counts_evaluations_in_a_row():
    config = genzoo.TrainerConfig(
        eval_steps=1, early_stopping_patience=2, metric_for_best_model="f", metric_mode="max"
    )
    best, model = Best(config), trainer().model
    for step, value in enumerate([1.0, 0.5, float("nan"), 2.0, 2.0], 1):
        best.consider(step, {"f": value}, model, None)
        assert best.patience_is_over == (step == 3)
    assert (best.step, best.value, best.unimproved) == (4, 2.0, 1)


@pytest.mark.parametrize(
    ("metric", "figure", "values", "best"),
    [
        ("two-sample", "two-sample", [0.9, 0.45, 0.52, 0.3], 3),  # Near 0.5.
        ("accuracy", "accuracy-y", [0.2, 0.8, 0.5, 0.7], 2),
        ("frechet-feature-distance", "frechet-feature-distance[pixels]", [4.0, 3.0, 1.0, 2.0], 3),
    ],
)
def test_a_metric_declares_which_weights_are_the_best(metric, figure, values, best):
    config = genzoo.TrainerConfig(
        eval_steps=1, eval_metrics=(metric,), metric_for_best_model=figure
    )
    kept, model = Best(config), trainer().model
    for step, value in enumerate(values, 1):
        kept.consider(step, {figure: value}, model, None)
    assert kept.step == best


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"early_stopping_patience": 2}, ConfigError, "early_stopping_patience.*eval-steps"),
        ({"metric_for_best_model": "loss"}, ConfigError, "metric_for_best_model.*eval-steps"),
        ({"metric_mode": "max"}, ConfigError, "'max' .* none is named. .*metric-for-best-model"),
        (
            {"early_stopping_patience": 2, "eval_steps": 10**6},
            ConfigError,
            "eval_steps 1000000 there is only one",
        ),
        ({"eval_metrics": ("log-likelihood",)}, CapabilityError, "does not support"),
        ({"eval_metrics": ("loglikelihood",)}, UnknownNameError, "log-likelihood"),
        ({"held_out": None, "eval_steps": 5}, ConfigError, "eval_steps needs held-out rows"),
        ({"held_out": torch.randn(5, 3)}, DataError, "do not fit"),
        ({"eval_steps": 5, "metric_for_best_model": "mmd"}, ConfigError, "metric-mode"),
        (
            {
                "eval_steps": 5,
                "eval_metrics": ("two-sample",),
                "metric_for_best_model": "two-sample",
                "metric_mode": "max",
            },
            ConfigError,
            "'max' contradicts 'two-sample': near 0.5 is the best",
        ),
        (
            {
                "eval_steps": 5,
                "eval_metrics": ("independent-pixels",),
                "metric_for_best_model": "independent-pixels",
            },
            ConfigError,
            "no value of 'independent-pixels' is better",
        ),
        (
            {"eval_steps": 5, "metric_for_best_model": "kl", "metric_mode": "min"},
            ConfigError,
            "no figure 'kl'.*generator/loss",
        ),
        (
            {"eval_steps": 5, "metric_for_best_model": "loss"},
            ConfigError,
            "no 'loss'.*generator/loss",
        ),
    ],
)
def test_bad_values_are_refused_before_anything_is_written(values, error, text, tmp_path):
    with pytest.raises(error, match=text) as raised:
        trainer(tmp_path / "run", **values).fit()
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_held_out_rows_are_the_others_in_proportion_to_the_labels():
    every = genzoo.load_dataset("digits")
    train = genzoo.load_dataset("digits", valid_fraction=0.2)
    held = genzoo.load_dataset("digits", HELD_OUT, valid_fraction=0.2)
    assert (len(train), len(held)) == (1200, 300)
    rows = [dataset.head(len(dataset))["x"].flatten(1) for dataset in (every, train, held)]
    both = torch.cat(rows[1:]).unique(dim=0, return_counts=True)
    alone = rows[0].unique(dim=0, return_counts=True)
    assert all(torch.equal(a, b) for a, b in zip(both, alone, strict=True))
    counts = [torch.bincount(dataset.labels()) for dataset in (every, held)]
    assert (counts[0] / 5 - counts[1]).abs().max() < 1
    assert len(genzoo.load_dataset("digits", "test", valid_fraction=0.2)) == 297


def test_a_share_that_holds_out_no_row_is_refused(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).random((4, 3)))
    with pytest.raises(DataError, match="valid-fraction"):
        genzoo.load_dataset(str(tmp_path / "rows.npy"), valid_fraction=0.1)


def run(line):
    """Run a command, and check that it succeeds."""
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert not left.value.code


def test_a_recipe_holds_rows_out(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("genzoo"), "handlers", [])
    run(
        "train vae --data digits --data.valid-fraction 0.2 --trainer.max-steps 4 "
        f"--trainer.eval-steps 2 --output {tmp_path}/a"
    )
    run(f"train --recipe {tmp_path}/a/recipe.toml --output {tmp_path}/b")
    assert log_of(tmp_path / "a") == log_of(tmp_path / "b")
    assert list(log_of(tmp_path / "a")) == [2, 4]
