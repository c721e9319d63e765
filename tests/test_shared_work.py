"""Two processes sample and evaluate as one does, bit for bit, and fail together.

All is done by one pair of processes, and by one process: starting a pair takes longer than its
work.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import shared_work
from genzoo.process_group import divided_work, map_blocks, num_processes, share_of

HERE = Path(__file__).parent
CARD = HERE.parent / "model_cards" / "vae-fashion-mnist"
ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("ACCELERATE_")},
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    "OMP_NUM_THREADS": "1",
}


def start(folder, **environment):
    return subprocess.Popen(
        [sys.executable, str(HERE / "shared_work.py"), str(folder)],
        env={**ENVIRONMENT, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(started):
    """Wait for processes; return what they said on their standard error."""
    try:
        return [process.communicate(timeout=240)[1] for process in started]
    finally:
        for process in started:
            process.kill()


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """A folder with the work of two processes, in "two", and of one, in "one"; and their ends."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    two = [start(folder / "two", **group, RANK=r, LOCAL_RANK=r) for r in ("0", "1")]
    said = ended(two)
    one = start(folder / "one")
    (alone,) = ended([one])
    assert one.returncode == 0, alone[-3000:]
    return folder, [process.returncode for process in two], said


def read(worked, number, rank, name):
    return json.loads((worked[0] / number / str(rank) / name).read_text("utf-8"))


def test_samples_are_those_of_one_process(worked):
    one, *two = (
        torch.load(worked[0] / path / "samples.pt") for path in ("one/0", "two/0", "two/1")
    )
    for name, x in one.items():
        first, second = (found[name] for found in two)
        assert first.dtype == x.dtype
        assert first.shape == x.shape
        assert torch.equal(first, second), name
        assert torch.equal(first, x) or name == "fresh", name
    assert one["toy-vae"].dtype == torch.float64


def test_each_block_is_drawn_by_one_process(worked):
    blocks = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3], [0, 1, 2], [0], [0, 1, 2]]
    assert read(worked, "one", 0, "drawn.json") == [k for b in blocks for k in b]
    for rank in (0, 1):
        assert read(worked, "two", rank, "drawn.json") == [k for b in blocks for k in b[rank::2]]


@pytest.mark.parametrize("name", shared_work.MODELS)
def test_figures_are_those_of_one_process(name, worked):
    one = (worked[0] / "one" / "0" / f"{name}.json").read_text("utf-8")
    assert len(json.loads(one)["figures"]) >= 3
    for rank in (0, 1):
        assert (worked[0] / "two" / str(rank) / f"{name}.json").read_text("utf-8") == one


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("first", "DataError: Block 3."),
        ("first of main", "DataError: Block 2."),
        ("plugin", 'KeyError: "a plugin\'s"'),
        ("too many", "this and that"),
        ("main", "DataError: Block 0."),
    ],
)
def test_all_raise_the_error_of_the_first_block(what, said, worked):
    everyone = [read(worked, *who, "errors.json") for who in (("one", 0), ("two", 0), ("two", 1))]
    for found in everyone:
        assert said in found[what]
        assert found["after"] == [0, 1, 2]


def test_an_error_of_the_last_process_is_raised_by_all(worked):
    errors = [read(worked, "two", rank, "errors.json")["other"] for rank in (0, 1)]
    assert errors == ["DataError: Process 1."] * 2


def test_who_computes_what(worked):
    first, second = (read(worked, "two", rank, "errors.json") for rank in (0, 1))
    for found in (first, second):
        assert found["who"] == [0, 1, 0, 1, 0]
        assert found["inside"] == [[0, 0], [1, 1]]
        assert found["from main"] == 0
        assert found["none"] == []
    assert first["fresh"] == second["fresh"]  # Otherwise blocks would be of two seeds.
    assert (first["on main"], second["on main"]) == (0, None)
    assert (first["main first"], second["main first"]) == (0, 1)
    assert (first["numbers"], second["numbers"]) == ([2, True], [2, False])
    assert read(worked, "one", 0, "errors.json")["numbers"] == [1, True]


def test_the_main_process_alone_speaks_and_all_fail_together(worked):
    one, first, second = (
        read(worked, *who, "said.json") for who in (("one", 0), ("two", 0), ("two", 1))
    )
    for name, (code, out, error) in first.items():
        assert [code, error.replace("/two/", "/one/")] == [one[name][0], one[name][2]], name
        assert second[name][0] == code
        assert second[name][1] == ""
        if name not in ("folder", "again"):  # They name a fresh seed.
            assert out.replace("/two/", "/one/") == one[name][1]
    assert [found[0] for found in first.values()] == [0, 0, 0, 2, 2, 0]
    assert "holds samples of another request: the number of samples was 21" in first["another"][2]
    assert "log-likelihood" in first["evaluate"][1]


def test_the_files_of_the_commands_are_those_of_one_process(worked):
    one, two = (worked[0] / name / "written" for name in ("one", "two"))
    assert (one / "x.npz").read_bytes() == (two / "x.npz").read_bytes()
    assert (one / "figures.json").read_bytes() == (two / "figures.json").read_bytes()


def test_a_folder_holds_the_samples_of_its_seed(worked):
    """The seed is a fresh one, which both processes and the second command take."""
    folder = worked[0] / "two" / "written" / "many"
    index = json.loads((folder / "samples.json").read_text("utf-8"))
    names = [f"samples-{k:05d}-of-00006.npz" for k in range(6)]
    assert sorted(path.name for path in folder.glob("[!.]*")) == [*names, "samples.json"]
    found = np.concatenate([np.load(folder / name)["x"] for name in names])
    model = shared_work.make("made")
    with torch.random.fork_rng():
        x = model.sample(21, seed=index["seed"], batch_size=2)
    assert found.dtype == np.uint8
    assert np.array_equal(found, x.numpy())


def test_a_process_that_loses_the_others_says_so(worked):
    _, codes, said = worked
    assert codes == [1, 7], said[0][-3000:]
    assert "GenzooError: Process 0 of 2 has lost the others" in said[0]


def test_without_a_launcher_nothing_is_divided(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with divided_work():
        assert (num_processes(), share_of(7)) == (1, 7)
        assert map_blocks(lambda k: k * k, 3) == [0, 1, 4]
    assert not torch.distributed.is_initialized()


@pytest.mark.full
def test_a_hundred_thousand_samples_take_no_more_memory_than_ten_thousand(tmp_path, monkeypatch):
    """They have 314 MB in float32. Two processes draw what one does."""
    monkeypatch.syspath_prepend(str(HERE.parent / "benchmarks"))
    import shared_sampling

    few, _ = shared_sampling.sampled(CARD, 10_000, 1, tmp_path)
    (one, of_one), (two, of_two) = (
        shared_sampling.sampled(CARD, 100_000, processes, tmp_path) for processes in (1, 2)
    )
    assert of_one == of_two
    assert max(one.megabytes, two.megabytes) < few.megabytes + 100
    sys.stdout.write(
        f"Two processes: {one.seconds / two.seconds:.2f} times as fast by the clock, "
        f"{one.cpu_seconds / two.cpu_seconds:.2f} times by the processor's time.\n"
    )


@pytest.mark.full
def test_an_evaluation_of_many_rows_is_that_of_one_process(tmp_path, monkeypatch):
    """All metrics of a model with codes and a likelihood, with the blocks that they have."""
    monkeypatch.syspath_prepend(str(HERE.parent / "benchmarks"))
    import shared_sampling

    found = [
        shared_sampling.evaluated(CARD, processes, tmp_path, "--max-examples", 1200)[1]
        for processes in (1, 2)
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0])["figures"]) > 8
