"""Training, evaluation and cards over streams; resumed runs read and learn the same."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import genzoo
from genzoo import cli
from genzoo.data import load_dataset
from genzoo.data.streams.export import export
from genzoo.errors import CheckpointError, DataError
from genzoo.evaluation import evaluate
from genzoo.training.loop import StageLoop
from shards import folder_of, write_parquet
from streamed_kills import SIZES, WINDOW, trainer


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path / "shards", SIZES)


def command(*words, code=0):
    with pytest.raises(SystemExit) as left:
        cli.main(list(map(str, words)))
    assert left.value.code == code


def opened(folder, **config):
    return load_dataset(folder, streaming=True, **{"window_bytes": WINDOW, **config})


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def straight(folder):
    """The weights of a run that nothing stopped."""
    return weights(trainer(opened(folder), None, 1, 0).fit())


@pytest.mark.parametrize(("step", "num_workers"), [(1, 0), (7, 2), (23, 0)])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(
    folder, tmp_path, straight, step, num_workers
):
    """Steps 19 and 20 are of two epochs; a checkpoint is written at every third step."""
    trainer(opened(folder), tmp_path / "run", 1, num_workers, steps=step).fit()
    resumed = trainer(opened(folder), tmp_path / "run", 1, 2 - num_workers)
    assert same(weights(resumed.fit(resume=True)), straight)


def test_processes_that_share_the_slots_learn_the_same(folder, straight):
    """Four micro-batches of one process are what four processes read."""
    again = trainer(opened(folder), None, 1, 2)
    assert same(weights(again.fit()), straight)


@pytest.mark.parametrize("how", ["missing", "cut", "column"])
def test_a_broken_shard_stops_a_run_that_goes_on_after_the_repair(
    folder, tmp_path, straight, how, monkeypatch
):
    path, kept = folder / "train-03.parquet", tmp_path / "kept"
    shutil.copy2(path, kept)
    plain = StageLoop._update

    def breaking(self, batches, index):
        if index == 8 and how == "missing":
            path.unlink()
        elif index == 8 and how == "cut":
            path.write_bytes(kept.read_bytes()[:-50])
        elif index == 8:
            write_parquet(path, 98, 30, label=None)
        return plain(self, batches, index)

    monkeypatch.setattr(StageLoop, "_update", breaking)
    with pytest.raises(DataError, match=r"The shard 'train-03.parquet'"):
        trainer(opened(folder), tmp_path / "run", 1, 0).fit()
    monkeypatch.undo()
    assert not (tmp_path / "run" / "config.json").exists()  # Nothing is published.
    if how != "missing":
        with pytest.raises((DataError, CheckpointError), match=r"train-03.parquet|shards"):
            trainer(opened(folder), tmp_path / "run", 1, 0).fit(resume=True)
    path.unlink(missing_ok=True)
    shutil.copy2(kept, path)
    assert same(
        weights(trainer(opened(folder), tmp_path / "run", 1, 0).fit(resume=True)), straight
    )


@pytest.mark.parametrize("change", [{"window_bytes": 2 * WINDOW}, {"shards_at_once": 2}])
def test_what_changes_the_order_is_refused_on_resuming(folder, tmp_path, change):
    trainer(opened(folder), tmp_path / "run", 1, 0, steps=5).fit()
    with pytest.raises(CheckpointError, match=rf"data\.{next(iter(change))} was"):
        trainer(opened(folder, **change), tmp_path / "run", 1, 0).fit(resume=True)


def test_other_shards_are_refused_on_resuming(folder, tmp_path):
    trainer(opened(folder), tmp_path / "run", 1, 0, steps=5).fit()
    write_parquet(folder / "train-05.parquet", 0, 20, group=5)
    with pytest.raises(CheckpointError, match=r"data\.shards was"):
        trainer(opened(folder), tmp_path / "run", 1, 0).fit(resume=True)


def test_rows_of_a_disk_have_no_further_identity():
    """Old checkpoints of data that are not streamed stay resumable."""
    digits = load_dataset("digits", binarize="dynamic")
    assert digits.identity() == {}
    assert digits.order(0) is None


@pytest.fixture
def digits(tmp_path):
    splits = {split: load_dataset("digits", split) for split in ("train", "test")}
    export(splits, tmp_path / "digits", "parquet", 400)
    return tmp_path / "digits"


def test_a_run_of_the_command_line_is_evaluated_and_described(digits, tmp_path, capsys):
    run = tmp_path / "run"
    flags = ("--data", digits, "--data.streaming", "--data.valid-shards", 1)
    small = ("--model.hidden-dims", 8, "--trainer.max-steps", 20, "--trainer.eval-steps", 10)
    command("train", "vae", *flags, *small, "--trainer.batch-size", 128, "--output", run)
    recipe = genzoo.Recipe.read(run / "recipe.toml")
    assert recipe.data.config == {"streaming": True, "valid_shards": 1}
    assert recipe.eval_data is None
    assert "eval/loss" in (run / "metrics.jsonl").read_text()
    command("evaluate", run, "--metrics", "log-likelihood", "--max-examples", 50)
    assert "50 of 297 (random draw, among the first rows)" in capsys.readouterr().out
    command("card", run, "--num", 0)
    card = (run / "README.md").read_text()
    assert "valid\\_shards 1, streamed from shards" in card
    assert "It has seen 2,560 rows, of 1,125: 2.28 epochs." in card
    shutil.copytree(run, tmp_path / "again")
    command(
        "compare",
        run,
        tmp_path / "again",
        "--data",
        digits,
        "--data.streaming",
        "--max-examples",
        30,
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data.limit", "5"], "--max-examples"),
        (["--data.valid-fraction", "0.1"], "--data.valid-shards N"),
        (["--data.labelled", "10"], "labels of −1"),
    ],
)
def test_flags_that_need_all_rows_are_refused(digits, tmp_path, capsys, flags, said):
    run = tmp_path / "run"
    command("train", "vae", "--data", digits, "--data.streaming", *flags, "--output", run, code=2)
    assert said in capsys.readouterr().err
    assert not run.exists()


def test_a_switch_of_streaming_has_the_flags_of_streams(digits, capsys):
    command("train", "--data", digits, "--data.streaming", "vae", "--help")
    assert "--data.window-bytes" in capsys.readouterr().out


def test_some_rows_of_a_stream_are_evaluated(digits):
    data = load_dataset(digits, "test", streaming=True, binarize="threshold")
    model = genzoo.create_model("vae", event=data.info["x"], hidden_dims=(8,), latent_dim=2)
    found = evaluate(model, data, "log-likelihood", max_examples=40)
    whole = load_dataset("digits", "test", binarize="threshold")
    assert found.provenance["examples"] == 40
    every = evaluate(model, data, "log-likelihood").figures["log-likelihood"].value
    right = evaluate(model, whole, "log-likelihood").figures["log-likelihood"].value
    assert every == pytest.approx(right, rel=1e-6)


@pytest.mark.full
@pytest.mark.parametrize("processes", [1, 2, 4, 0])
def test_killed_runs_read_and_learn_the_same(processes):
    script = Path(__file__).parent / "streamed_kills.py"
    started = [sys.executable, str(script), "--kills", "2", "--processes", str(processes)]
    done = subprocess.run(started, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("2 kills") == 2
