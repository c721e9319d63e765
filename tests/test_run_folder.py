"""A run's folder: one run at a time, and files that others have damaged, removed or replaced."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch

import families
import genzoo
from genzoo.errors import CheckpointError, GenzooError, RunningError
from genzoo.training import checkpoint, folder as run_folder
from genzoo.training.folder import RunFolder


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.0)


def trainer(folder, **values):
    given = {
        "max_steps": 8,
        "batch_size": 4,
        "save_steps": 2,
        "save_total_limit": 9,
        "logging_steps": 1,
    }
    config = genzoo.TrainerConfig(**{**given, **values})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = families.linear(size=4)
    return genzoo.Trainer(model, families.rows(16, 4), config=config, output_dir=folder)


def listing(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


# One run at a time


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused_before_it_writes(tmp_path, resume):
    """Two starts at one moment in a new folder, and a run that is resumed while it runs."""
    (tmp_path / "run").mkdir()
    if resume:
        trainer(tmp_path / "run").fit()
    (tmp_path / "run" / run_folder.LOCK.name).touch()
    before = listing(tmp_path / "run")
    with (
        RunFolder(tmp_path / "run").locked(),
        pytest.raises(RunningError, match="Another run is training in"),
    ):
        trainer(tmp_path / "run").fit(resume=resume)
    assert listing(tmp_path / "run") == before


def test_overwriting_waits_for_the_run_that_is_there(tmp_path):
    trainer(tmp_path).fit()
    before = listing(tmp_path)
    second = genzoo.Trainer(
        families.linear(size=4), families.rows(16, 4), output_dir=tmp_path, overwrite=True
    )
    with RunFolder(tmp_path).locked(), pytest.raises(RunningError):
        second.fit()
    assert listing(tmp_path) == before


def test_a_folder_is_free_after_a_run_that_ended_or_failed(tmp_path):
    trainer(tmp_path / "a").fit()
    trainer(tmp_path / "a").fit(resume=True)
    broken = trainer(tmp_path / "b")
    broken.plan = dataclasses.replace(broken.plan, data=None)
    with pytest.raises(AttributeError):
        broken.fit()
    with RunFolder(tmp_path / "b").locked():
        pass


def test_the_system_releases_the_lock_of_a_killed_run(tmp_path):
    script = (
        "import sys, signal, pathlib\n"
        "from genzoo.training.folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked():\n"
        "    print('locked', flush=True)\n"
        "    signal.pause()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(RunningError), RunFolder(tmp_path).locked():
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with RunFolder(tmp_path).locked():
        pass


def test_resuming_what_is_not_a_run_leaves_no_folder(tmp_path):
    with pytest.raises(CheckpointError, match="has no run to resume"):
        trainer(tmp_path / "none").fit(resume=True)
    assert not (tmp_path / "none").exists()


# Damage


def stopped(folder):
    """Return the checkpoints of a run that was stopped, the newest first."""
    trainer(folder).fit()
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    return checkpoint.list_checkpoints(folder / "checkpoints")[::-1]


def flips(text):
    """Return a text with one bit flipped, at each place in turn that stays ASCII."""
    data = text.encode()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        yield bytes(changed)


def test_a_flipped_bit_in_a_manifest_is_a_problem_or_changes_nothing(tmp_path):
    """Of the values nothing but a version may change unseen, which nothing depends on."""
    kept = checkpoint.Checkpoint(0, 1, {"model": {"w": torch.ones(2)}}, {"a": 1}, {"torch": "2"})
    path = checkpoint.save(kept, tmp_path)
    manifest = path / "manifest.json"
    honest = manifest.read_text("utf-8")
    unseen = 0
    for data in flips(honest):
        manifest.write_bytes(data)
        if checkpoint.problem_of(path):
            assert checkpoint.load_newest(tmp_path) is None
            continue
        _, found, _ = checkpoint.load_newest(tmp_path)
        assert (found.stage, found.step, found.values) == (0, 1, {"a": 1})
        unseen += 1
    assert unseen <= 0.2 * len(honest)  # White space, and the text of the version.


WRONG = {
    "no files": lambda m: {**m, "files": {}},
    "a list of files": lambda m: {**m, "files": []},
    "no versions": lambda m: {k: v for k, v in m.items() if k != "versions"},
    "files without the values": lambda m: {
        **m,
        "files": {k: v for k, v in m["files"].items() if k != "values.json"},
    },
    "files without a size": lambda m: {**m, "files": {name: {} for name in m["files"]}},
    "another step": lambda m: {**m, "step": 3},
    "a list": lambda m: [m],
    "nothing": lambda m: None,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_next_good_checkpoint_is_taken_and_said_so(wrong, tmp_path, caplog):
    caplog.set_level("INFO", logger="genzoo")
    newest, *_ = stopped(tmp_path)
    manifest = newest / "manifest.json"
    manifest.write_text(json.dumps(WRONG[wrong](json.loads(manifest.read_text("utf-8")))))
    trainer(tmp_path).fit(resume=True)
    assert f"Skipped the checkpoint {newest.name}" in caplog.text
    assert checkpoint.problem_of(newest) == ""


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_what_stands_in_place_of_a_checkpoint_blocks_nothing(kind, tmp_path):
    newest, older, *_ = stopped(tmp_path / "run")
    shutil.rmtree(newest)
    if kind == "file":
        newest.write_text("no folder")
    else:
        newest.symlink_to(older if kind == "link" else tmp_path / "nothing")
    trainer(tmp_path / "run").fit(resume=True)
    assert checkpoint.problem_of(newest) == checkpoint.problem_of(older) == ""
    assert not newest.is_symlink()


def test_a_log_that_was_removed_does_not_begin_with_zeros(tmp_path, caplog):
    caplog.set_level("INFO", logger="genzoo")
    newest, *_ = stopped(tmp_path)
    shutil.rmtree(newest)
    (tmp_path / "metrics.jsonl").unlink()
    trainer(tmp_path).fit(resume=True)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [7, 8]
    assert "is shorter than it was" in caplog.text


FAILING = [
    ("shutil.rmtree", "save", PermissionError(13, "Permission denied")),
    ("pathlib.Path.unlink", "overwrite", PermissionError(13, "Permission denied")),
    ("os.truncate", "log", OSError(5, "Input/output error")),
    ("pathlib.Path.glob", "resume", OSError(5, "Input/output error")),
]


@pytest.mark.parametrize(("name", "when", "error"), FAILING, ids=[f[1] for f in FAILING])
def test_what_the_system_refuses_is_said_in_a_sentence(name, when, error, tmp_path, monkeypatch):
    if when != "log":
        trainer(tmp_path).fit()
    run = trainer(tmp_path, save_total_limit=2, max_steps=8)
    if when == "overwrite":
        run = genzoo.Trainer(
            families.linear(size=4), families.rows(16, 4), output_dir=tmp_path, overwrite=True
        )
    if when == "save":
        shutil.rmtree(tmp_path)

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(name, refuse)
    with pytest.raises(GenzooError, match=error.strerror):
        run.fit(resume=when == "resume")
