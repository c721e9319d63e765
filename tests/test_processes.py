"""Two processes, started by `accelerate launch` with gloo, equal one with two micro-batches."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genzoo import registry
from genzoo.storage import open_folder
from genzoo.training import checkpoint

HERE = Path(__file__).parent
SCRIPT = HERE / "two_processes.py"


def launch(num, *arguments, fails=False):
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
    assert (done.returncode != 0) is fails, done.stderr[-3000:]
    return done.stderr


def num_processes(folder):
    newest = checkpoint.list_checkpoints(folder / "checkpoints")[-1]
    return checkpoint.read(newest).values["num_processes"]


def losses(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").open())
    return [value for line in lines for key, value in line.items() if key.endswith("/loss")]


INSTALLED = [entry.name for entry in registry.entries("models") if entry.distribution]
MODELS = ["toy-linear", "gan:wasserstein-gp", *INSTALLED]


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_equal_two_micro_batches(model, tmp_path):
    """Up to the order of summation: 1e-6 relative in float32. Chains and pools go by slot."""
    launch(2, model, 1, tmp_path / "two")
    launch(1, model, 2, tmp_path / "one")
    two, one = (open_folder(tmp_path / name)[1].read() for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)
    assert num_processes(tmp_path / "two") == 2
    assert num_processes(tmp_path / "one") == 1
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    if model == "rbm":
        _check_resume(tmp_path / "two", two)


def _check_resume(folder, straight):
    """Each process's chains are saved, and come back to it; one process alone is refused."""
    path = checkpoint.list_checkpoints(folder / "checkpoints")[0]
    kept = checkpoint.read(path)
    assert sorted(kept.tensors["process-0"]) == ["chains_0"]
    assert sorted(kept.tensors["process-1"]) == ["chains_1"]
    for newer in checkpoint.list_checkpoints(folder / "checkpoints")[1:]:
        shutil.rmtree(newer)
    assert "had 2 processes" in launch(1, "rbm", 1, folder, "resume", fails=True)
    launch(2, "rbm", 1, folder, "resume")
    resumed = load_file(folder / "model.safetensors")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
