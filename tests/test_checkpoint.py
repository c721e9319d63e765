"""Checkpoints survive being killed at any moment of saving, and damage of any kind is seen."""

import errno
import json
import os
import random
import select
import shutil
import signal
import time

import pytest
import torch

from genzoo.errors import CheckpointError, DiskFullError
from genzoo.training import checkpoint
from genzoo.training.checkpoint import Checkpoint

NUM_KILLS = 100


def make(step, size=2000):
    tensors = {
        "model": {"w": torch.full((size,), float(step))},
        "optimizer-model": {"m": torch.ones(3)},
    }
    return Checkpoint(0, step, tensors, {"step": step}, {"genzoo": "test"})


def is_good(root):
    found = checkpoint.load_newest(root)
    if found is None:
        return False
    _, kept, _ = found
    return (
        bool((kept.tensors["model"]["w"] == kept.step).all()) and kept.values["step"] == kept.step
    )


def test_round_trip(tmp_path):
    path = checkpoint.save(make(3), tmp_path)
    found = checkpoint.read(path)
    assert (found.stage, found.step, found.values) == (0, 3, {"step": 3})
    assert torch.equal(found.tensors["model"]["w"], torch.full((2000,), 3.0))
    assert checkpoint.problem_of(path) == ""


def test_prunes_the_oldest_and_never_below_two(tmp_path):
    for step in range(1, 6):
        checkpoint.save(make(step), tmp_path, keep=1)
    names = [path.name[-1] for path in checkpoint.list_checkpoints(tmp_path)]
    assert names == ["4", "5"]


def kill_while_saving(root, size, save, num):
    """Kill forks that save one checkpoint after another, each at a random moment.

    Returns whether a good checkpoint was left each time, and what was being written.
    """
    chance = random.Random(size)
    began = time.perf_counter()
    checkpoint.save(make(1, size), root)
    checkpoint.save(make(2, size), root)
    two_saves = time.perf_counter() - began
    good, seen, step = [], set(), 2
    parent = os.getpid()
    for _ in range(num):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, b".")
            _save_until_orphaned(parent, root, step, size, save)
        os.read(reader, 1)  # On a busy machine a child may begin long after it is made.
        _kill_after(child, chance.uniform(0, 1.5 * two_saves))
        os.close(reader)
        os.close(writer)
        seen |= {path.name for path in root.iterdir() if path.name.startswith(".")}
        good.append(is_good(root))
        step = max([step, *(int(path.name[-9:]) for path in checkpoint.list_checkpoints(root))])
    return good, seen


def _save_until_orphaned(parent, root, step, size, save):
    while os.getppid() == parent:
        step += 1
        save(make(step, size), root)
    os._exit(0)


def _kill_after(child, seconds):
    # No alarm: with other threads about, it would go to one of them and end the tests.
    select.select([], [], [], max(seconds, 1e-4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("size", [2000, 400_000])
def test_a_good_checkpoint_is_left_whenever_it_is_killed(tmp_path, size):
    """A hundred SIGKILLs at random moments, each on what the one before has left."""
    good, seen = kill_while_saving(tmp_path, size, checkpoint.save, NUM_KILLS // 2)
    assert good == [True] * (NUM_KILLS // 2)
    assert seen, "No kill hit a moment of writing; the test would prove nothing."


def prune_first(kept, root):
    """The control: removes the old, then writes the new in place."""
    for path in checkpoint.list_checkpoints(root):
        shutil.rmtree(path)
    final = root / f"stage-000-step-{kept.step:09d}"
    final.mkdir()
    checkpoint._write(kept, final)


def test_the_kill_test_sees_a_broken_protocol(tmp_path):
    good, _ = kill_while_saving(tmp_path, 400_000, prune_first, 10)
    assert not all(good)


DAMAGE = {
    "a file is missing": lambda p: (p / "values.json").unlink(),
    "a file is truncated": lambda p: os.truncate(p / "model.safetensors", 50),
    "a bit is flipped": lambda p: _flip(p / "model.safetensors"),
    "the manifest is missing": lambda p: (p / "manifest.json").unlink(),
    "the manifest is cut short": lambda p: os.truncate(p / "manifest.json", 40),
    "the manifest is of another format": lambda p: _reformat(p / "manifest.json"),
}


def _flip(path):
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


def _reformat(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_seen_and_passed_over(tmp_path, damage):
    old, new = checkpoint.save(make(1), tmp_path), checkpoint.save(make(2), tmp_path)
    DAMAGE[damage](new)
    path, kept, passed = checkpoint.load_newest(tmp_path)
    assert path == old
    assert kept.step == 1
    assert passed[0].startswith(new.name)


def test_stale_temporaries_are_removed(tmp_path):
    (tmp_path / ".stage-000-step-000000009.writing").mkdir(parents=True)
    checkpoint.save(make(1), tmp_path)
    checkpoint.load_newest(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["stage-000-step-000000001"]


@pytest.mark.parametrize("function", ["fsync", "save_file", "write_text"])
def test_a_full_disk_leaves_the_earlier_checkpoint_and_nothing_half_written(
    tmp_path, monkeypatch, function
):
    checkpoint.save(make(1), tmp_path)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, function, full)
    with pytest.raises(DiskFullError, match="Free some space"):
        checkpoint.save(make(2), tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["stage-000-step-000000001"]
    assert is_good(tmp_path)


def test_what_does_not_read_back_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "problem_of", lambda path: "model.safetensors is damaged")
    with pytest.raises(CheckpointError, match="does not read back"):
        checkpoint.save(make(1), tmp_path)


def test_no_pickle_is_written(tmp_path):
    path = checkpoint.save(make(1), tmp_path)
    assert {file.suffix for file in path.iterdir()} == {".safetensors", ".json"}
