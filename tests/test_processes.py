"""Two processes, started by `accelerate launch` with gloo, equal one with two micro-batches.

All models are trained by the same two processes, one after another, as stages and several fits
are: starting a pair takes longer than a training.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import two_processes
from genzoo import registry
from genzoo.errors import CheckpointError
from genzoo.storage import open_folder
from genzoo.training import checkpoint

HERE = Path(__file__).parent
SCRIPT = HERE / "two_processes.py"


def launch(num, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    environment["ACCELERATE_USE_CPU"] = "1"  # With it the launcher's processes talk by gloo.
    command = [sys.executable, str(SCRIPT)]
    if num > 1:
        command = [
            sys.executable,
            "-m",
            "accelerate.commands.launch",
            "--multi_gpu",
            "--num_processes",
            str(num),
            "--num_machines",
            "1",
            "--mixed_precision",
            "no",
            "--dynamo_backend",
            "no",
            "--main_process_port",
            "0",
            str(SCRIPT),
        ]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def num_processes(folder):
    newest = checkpoint.list_checkpoints(folder / "checkpoints")[-1]
    return checkpoint.read(newest).values["num_processes"]


def losses(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").open())
    return [value for line in lines for key, value in line.items() if key.endswith("/loss")]


INSTALLED = [entry.name for entry in registry.entries("models") if entry.distribution]
MODELS = ["toy-linear", "gan:wasserstein-gp", *INSTALLED]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with every model of two processes, in "two", and of one, in "one"."""
    folder = tmp_path_factory.mktemp("processes")
    launch(2, 1, folder / "two", *MODELS)
    launch(1, 2, folder / "one", *MODELS)
    return folder


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_equal_two_micro_batches(model, trained):
    """Up to the order of summation: 1e-6 relative in float32. Chains and pools go by slot."""
    two, one = (open_folder(trained / name / model)[1].read() for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)
    assert num_processes(trained / "two" / model) == 2
    assert num_processes(trained / "one" / model) == 1
    ours, theirs = (losses(trained / name / model) for name in ("two", "one"))
    assert ours
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_each_processes_chains_are_saved_and_come_back_to_it(trained, tmp_path):
    """One process alone is refused."""
    folder = tmp_path / "rbm"
    shutil.copytree(trained / "two" / "rbm", folder)
    straight = load_file(folder / "model.safetensors")
    path, *newer = checkpoint.list_checkpoints(folder / "checkpoints")
    kept = checkpoint.read(path)
    assert sorted(kept.tensors["process-0"]) == ["chains_0"]
    assert sorted(kept.tensors["process-1"]) == ["chains_1"]
    for one in newer:
        shutil.rmtree(one)
    with pytest.raises(CheckpointError, match="had 2 processes"):
        two_processes.train("rbm", 1, folder, resume=True)
    launch(2, 1, tmp_path, "rbm", "resume")
    resumed = load_file(folder / "model.safetensors")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
