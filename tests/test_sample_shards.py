"""Many samples in a folder: the same as in one call, resumable, and never mixed."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch

import families  # noqa: F401  Registers the toys.
import genzoo
from genzoo import sample_shards, sampling
from genzoo.cli import main
from genzoo.errors import DataError, DiskFullError, OutputExistsError, RunningError

NUM, SIZE = 23, 4
OPTIONS = {"batch_size": SIZE, "shard_size": 8}
NAMES = [f"samples-0000{k}-of-00003.npz" for k in range(3)]
KILLED = """
import os, signal, sys
import numpy as np
from test_sample_shards import draw

savez, calls = np.savez, []

def killed(path, **arrays):
    calls.append(path)
    if len(calls) == 2:
        path.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    savez(path, **arrays)

np.savez = killed
draw(sys.argv[1], seed=7)
"""


def model():
    torch.manual_seed(0)
    cls = genzoo.registry.load("models", "toy-vae")
    return cls(cls.example()[0])


def draw(folder, **changed):
    given = {"condition": 1, "seed": 7, **OPTIONS, **changed}
    return genzoo.sample_to_folder(given.pop("model", None) or model(), NUM, folder, **given)


def joined(folder):
    return torch.from_numpy(
        np.concatenate([np.load(p)["x"] for p in sorted(folder.glob("*.npz"))])
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder that was written at once."""
    folder = tmp_path_factory.mktemp("whole") / "many"
    draw(folder)
    return folder


def test_they_are_those_of_one_call(whole):
    assert torch.equal(joined(whole), model().sample(NUM, condition=1, seed=7, batch_size=SIZE))
    assert [len(np.load(whole / name)["x"]) for name in NAMES] == [8, 8, 7]
    assert [*contents(whole)] == [*NAMES, "samples.json"]


def test_the_index_says_how_they_are_drawn(whole, tmp_path):
    index = json.loads((whole / "samples.json").read_text("utf-8"))
    facts = ("model", "num", "seed", "batch_size", "shard_size", "shards", "device", "threads")
    assert [index[key] for key in facts] == ["VAE", NUM, 7, SIZE, 8, 3, "cpu", 1]
    assert index["sampler"] == "toy-latent"
    assert draw(tmp_path / "again") == index


@pytest.mark.parametrize(("given", "size"), [(1, 4), (4, 4), (5, 8), (9, 12), (99, 100)])
def test_a_file_has_whole_blocks(given, size, tmp_path):
    index = draw(tmp_path, shard_size=given)
    assert (index["shard_size"], index["shards"]) == (size, -(-NUM // size))
    assert torch.equal(joined(tmp_path), model().sample(NUM, condition=1, seed=7, batch_size=SIZE))


@pytest.mark.parametrize(
    ("files", "values", "size"),
    [(64, 2**23, 4), (3, 2**23, 8), (1, 2**23, 24), (1, 4 * 4 * 3, 12), (3, 1, 4)],
)
def test_there_are_files_for_many_processes_and_none_is_large(
    files, values, size, tmp_path, monkeypatch
):
    """Of 6 blocks of 4 samples of 4 values."""
    monkeypatch.setattr(sample_shards, "_FILES", files)
    monkeypatch.setattr(sample_shards, "_VALUES", values)
    assert draw(tmp_path, shard_size=None)["shard_size"] == size


def test_the_block_size_is_that_of_one_call(tmp_path, monkeypatch):
    vae = model()
    monkeypatch.setattr(type(vae), "default_batch_size", 10)
    index = draw(tmp_path, model=vae, batch_size=None)
    assert index["batch_size"] == 8
    assert torch.equal(joined(tmp_path), vae.sample(NUM, condition=1, seed=7))


def test_a_row_of_a_condition_stands_for_an_equal_part(tmp_path):
    draw_24 = {"condition": torch.tensor([2, 0, 1]), "seed": 1, **OPTIONS}
    genzoo.sample_to_folder(model(), 24, tmp_path / "few", **draw_24)
    label = torch.arange(24) // 8
    x = model().sample(24, condition=torch.tensor([2, 0, 1])[label], seed=1, batch_size=SIZE)
    assert torch.equal(joined(tmp_path / "few"), x)
    genzoo.sample_to_folder(model(), 24, tmp_path / "each", **{**draw_24, "condition": label})
    other = model().sample(24, condition=label, seed=1, batch_size=SIZE)
    assert torch.equal(joined(tmp_path / "each"), other)
    assert not torch.equal(x, other)
    with pytest.raises(genzoo.ConditionError, match="24 samples need 24 conditions, got 5"):
        genzoo.sample_to_folder(model(), 24, tmp_path / "no", condition=torch.zeros(5).long())


def test_weights_and_conditions_are_checked_once(tmp_path, monkeypatch):
    checked = []
    monkeypatch.setattr(sampling, "check_weights", checked.append)
    draw(tmp_path)
    assert len(checked) == 1


def test_a_killed_command_goes_on(whole, tmp_path):
    """It is killed within the writing of the second file; half of it is in a folder of its own."""
    folder = tmp_path / "many"
    command = [sys.executable, "-c", KILLED, str(folder)]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, timeout=120, check=False, stderr=-1)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    left = {name for name in os.listdir(folder) if name != ".lock"}
    assert {NAMES[0], "samples.json"} < left
    assert len(left) == 3
    draw(folder)
    assert contents(folder) == contents(whole)
    assert not list(folder.glob(".writing-*"))


def test_only_what_is_missing_is_drawn(whole, tmp_path, monkeypatch):
    draw(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    drawn, block = [], sampling.Blocks.block
    monkeypatch.setattr(
        sampling.Blocks, "block", lambda self, k, tell: drawn.append(k) or block(self, k, tell)
    )
    draw(tmp_path)
    assert drawn == [2, 3]
    draw(tmp_path)
    assert drawn == [2, 3]
    assert contents(tmp_path) == contents(whole)


def test_without_a_seed_it_is_that_of_the_folder(tmp_path):
    first = draw(tmp_path, seed=None)["seed"]
    (tmp_path / NAMES[2]).unlink()
    assert draw(tmp_path, seed=None)["seed"] == first
    x = model().sample(NUM, condition=1, seed=first, batch_size=SIZE)
    assert torch.equal(joined(tmp_path), x)


def test_it_goes_on_with_the_folders_number_of_threads(tmp_path, monkeypatch):
    draw(tmp_path)
    index = json.loads((tmp_path / "samples.json").read_text("utf-8"))
    (tmp_path / "samples.json").write_text(json.dumps({**index, "threads": 2}))
    (tmp_path / NAMES[2]).unlink()
    seen, block = [], sampling.Blocks.block

    def noting(self, k, tell):
        seen.append(torch.get_num_threads())
        return block(self, k, tell)

    monkeypatch.setattr(sampling.Blocks, "block", noting)
    draw(tmp_path)
    assert (seen, torch.get_num_threads()) == ([2, 2], 1)


def other_weights():
    changed = model()
    with torch.no_grad():
        changed.decoder.bias[0] += 1
    return changed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 8}, "the seed was 7, is 8"),
        ({"batch_size": 2}, "the block size was 4, is 2"),
        ({"shard_size": 4}, "the number of samples per file was 8, is 4"),
        ({"condition": 2}, "the conditions differ"),
        ({"model": other_weights()}, "the weights differ"),
        ({"model": model().double()}, "the weights differ"),
    ],
)
def test_samples_of_another_request_are_not_mixed_in(changed, said, whole):
    before = contents(whole)
    with pytest.raises(OutputExistsError, match=f"of another request: {said}. Choose a new"):
        draw(whole, **changed)
    assert contents(whole) == before


def damage(folder, what):
    if what == "cut":
        whole = (folder / NAMES[1]).read_bytes()
        (folder / NAMES[1]).write_bytes(whole[:-30])
    elif what == "flipped":
        flipped = bytearray((folder / NAMES[1]).read_bytes())
        flipped[len(flipped) // 2] ^= 255
        (folder / NAMES[1]).write_bytes(flipped)
    elif what == "short":
        np.savez(folder / NAMES[1], x=np.zeros((7, 4), np.float32))
    elif what == "nameless":
        np.savez(folder / NAMES[1], y=np.zeros((8, 4), np.float32))


@pytest.mark.parametrize("what", ["cut", "flipped", "short", "nameless"])
def test_a_damaged_file_is_named(what, tmp_path):
    draw(tmp_path)
    damage(tmp_path, what)
    with pytest.raises(DataError, match=rf"{NAMES[1]}' is damaged: .*\. Remove it, and give"):
        draw(tmp_path)
    (tmp_path / NAMES[1]).unlink()
    draw(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[]", "it is not a table"),
        ("{}", "it lacks batch_size"),
        (("seed", "x"), "its seed is 'x'"),
        (("threads", 0), "its threads is 0"),
    ],
)
def test_a_damaged_index_is_named(text, said, tmp_path):
    draw(tmp_path)
    path = tmp_path / "samples.json"
    if isinstance(text, tuple):
        text = json.dumps({**json.loads(path.read_text("utf-8")), text[0]: text[1]})
    path.write_text(text)
    with pytest.raises(DataError, match=rf"samples.json' cannot be read: {said}"):
        draw(tmp_path)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        OutputExistsError, match=r"no samples.json, and holds 1 other file, .*notes"
    ):
        draw(tmp_path)
    (tmp_path / "notes.txt").unlink()
    draw(tmp_path)
    (tmp_path / "samples-00000-of-00009.npz").write_bytes(b"")
    with pytest.raises(OutputExistsError, match=r"of-00009.npz', which is not one of its 3 files"):
        draw(tmp_path)
    with pytest.raises(OutputExistsError, match=r"is a file. Choose a folder"):
        draw(tmp_path / NAMES[0])


def test_one_command_at_a_time_writes(tmp_path):
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(RunningError, match="Another process is writing samples into"),
    ):
        draw(tmp_path)
    draw(tmp_path)
    draw(tmp_path)


def test_a_full_disk_leaves_whole_files(whole, tmp_path, monkeypatch):
    savez, calls = np.savez, []

    def full(path, **arrays):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(path, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DiskFullError, match=r"No space left to write .*00001-of-00003"):
        draw(tmp_path)
    assert [*contents(tmp_path)] == [NAMES[0], "samples.json"]
    draw(tmp_path)
    assert contents(tmp_path) == contents(whole)


def test_the_command_names_conditions_and_files(tmp_path, capsys):
    model().save_pretrained(tmp_path / "vae")
    line = f"sample {tmp_path}/vae --num 12 --batch-size 4 --shard-size 4 --label 2 --label 0"
    with pytest.raises(SystemExit) as left:
        main([*line.split(), "--seed", "2", "--output", f"{tmp_path}/many/"])
    assert left.value.code == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert said == f"12 samples of seed 2 are in {tmp_path}/many, in 3 files.\n"
    label = torch.tensor([2, 0]).repeat_interleave(6)
    x = model().sample(12, condition=label, seed=2, batch_size=4)
    assert torch.equal(joined(tmp_path / "many"), x)
    index = json.loads((tmp_path / "many" / "samples.json").read_text("utf-8"))
    assert index["given"] == {"label": ["2", "0"]}


def test_a_file_is_data(whole):
    rows = genzoo.load_dataset(whole / NAMES[0], space="real").head(8)["x"]
    assert torch.equal(rows, joined(whole)[:8])
