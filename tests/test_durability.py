"""What a loss of power leaves: files are on the disk before they get their names, names after.

No test can cut the power. A system may keep what was written, and what was renamed, in memory, in
any order; only `fsync` brings it to the disk. So what is asked of the system is recorded.
"""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

import families
from genzoo import files
from genzoo.training import checkpoint
from genzoo.training.checkpoint import Checkpoint


def state(status):
    """What a file or folder is known by whatever its name, and what a write of it changes."""
    return status.st_ino, status.st_mtime_ns, status.st_size


@dataclass
class Disk:
    """What is brought to the disk and what is renamed, in order."""

    events: list = field(default_factory=list)

    def synced(self, first=0):
        """Return the folders and files that were synced from an event on, by their inodes."""
        return {event[1][0] for event in self.events[first:] if event[0] == "synced"}

    def check(self, renames):
        """Check each rename: what it names was on the disk, and its folder is so afterwards."""
        found = [(i, *event[1:]) for i, event in enumerate(self.events) if event[0] == "renamed"]
        assert [target.name for _, target, _ in found] == renames
        for i, target, contents in found:
            assert contents
            for path, known in contents.items():
                assert ("synced", known) in self.events[:i], f"{path} was renamed, not synced."
            assert target.parent.stat().st_ino in self.synced(i), f"{target.parent} is not."


@pytest.fixture
def disk(monkeypatch):
    found = Disk()
    fsync = os.fsync

    def synced(handle):
        fsync(handle)
        found.events.append(("synced", state(os.fstat(handle))))

    def renaming(rename):
        def renamed(source, target):
            paths = [Path(source), *Path(source).rglob("*")]
            found.events.append(("renamed", Path(target), {p: state(p.stat()) for p in paths}))
            rename(source, target)

        return renamed

    monkeypatch.setattr(os, "fsync", synced)
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, renaming(getattr(os, name)))
    return found


def test_a_checkpoint(tmp_path, disk):
    tensors = {"model": {"w": torch.ones(3)}, "objective": {"u": torch.ones(2)}}
    checkpoint.save(Checkpoint(0, 3, tensors, {"step": 3}, {"genzoo": "test"}), tmp_path)
    disk.check(["stage-000-step-000000003"])
    _, _, contents = next(event for event in disk.events if event[0] == "renamed")
    names = {"manifest.json", "values.json", "model.safetensors", "objective.safetensors"}
    assert {path.name for path in contents} == {"stage-000-step-000000003", *names}


def test_a_file(tmp_path, disk):
    with files.atomic_file(tmp_path / "a.txt") as temporary:
        files.write_text(temporary, "one")
    disk.check(["a.txt"])


def test_a_model(tmp_path, disk):
    families.linear().save_pretrained(tmp_path / "model")
    disk.check(["model.safetensors", "config.json"])


def test_files_in_folders_and_files_that_go_away(tmp_path, disk):
    """The list of a folder that a file has left is brought to the disk too."""
    for name in ("old/gone.txt", "old/kept.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    with files.atomic_folder_update(tmp_path, last="last", old=["old/gone.txt"]) as temporary:
        (temporary / "new").mkdir()
        for name in ("new/a.txt", "b.txt", "last"):
            files.write_text(temporary / name, name)
    disk.check(["b.txt", "a.txt", "last"])
    assert (tmp_path / "old").stat().st_ino in disk.synced()


@pytest.mark.parametrize("fails", [False, True])
def test_no_handle_is_left_open(fails, tmp_path, monkeypatch):
    opened, closed = [], []
    open_, close = os.open, os.close
    monkeypatch.setattr(os, "open", lambda *args: opened.append(open_(*args)) or opened[-1])
    monkeypatch.setattr(os, "close", lambda handle: closed.append(handle) or close(handle))
    if fails:
        monkeypatch.setattr(os, "fsync", lambda handle: os.fstat(-1))
    with pytest.raises(OSError, match="Bad file") if fails else contextlib.nullcontext():
        files.fsync(tmp_path)
    assert len(opened) == 1
    assert closed == opened
