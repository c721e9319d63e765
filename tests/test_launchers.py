"""Every launcher of docs/several-processes.md trains one training of two processes."""

import contextlib
import json
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import launchers
from genzoo.cli import main
from genzoo.training import checkpoint

BITS = (np.random.default_rng(0).random((40, 6)) < 0.5).astype(np.uint8)
CONFIG = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: bf16
gpu_ids: '0'
num_machines: 3
num_processes: 24
machine_rank: 2
main_process_ip: 192.0.2.1
main_process_port: 29500
use_cpu: false
debug: true
"""
"""A user's `accelerate config`, of a cluster, with one GPU of each machine."""
full = pytest.mark.full


def words(folder, output, steps=2):
    """Return a training of two updates on a file of the folder."""
    values = {"max-steps": steps, "batch-size": 8, "threads": 1, "logging-steps": 1}
    trainer = [word for n, v in values.items() for word in (f"--trainer.{n}", str(v))]
    data = ["--data", str(folder / "bits.npz"), "--model.num-hidden", "4"]
    return ["train", "rbm", *data, *trainer, "--output", str(folder / output)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with data, a run of one process with two micro-batches, and a user's config."""
    found = tmp_path_factory.mktemp("launchers")
    np.savez(found / "bits.npz", train=BITS, test=BITS[:10])
    with pytest.raises(SystemExit) as left:
        main([*words(found, "one"), "--trainer.num-micro-batches", "2"])
    assert not left.value.code
    (found / "home" / "accelerate").mkdir(parents=True)
    (found / "home" / "accelerate" / "default_config.yaml").write_text(CONFIG)
    return found


@pytest.mark.parametrize(
    "launcher",
    [
        *("--num-processes", "srun", "mpirun"),
        *(pytest.param(name, marks=full) for name in ("mpiexec", "torchrun", "accelerate")),
    ],
)
def test_two_processes_train_one_training(launcher, folder):
    """Equal to one process with two micro-batches; the first process prints, and only it."""
    started = launchers.start(
        launcher,
        words(folder, launcher),
        # A user's settings change nothing where the command starts the processes.
        {"HF_HOME": str(folder / "home")} if launcher == "--num-processes" else None,
    )
    said = launchers.finish(started)
    assert [process.returncode for process in started] == [0] * len(started), said
    printed = "".join(out for out, _ in said)
    assert printed.count("The model is in") == 1
    assert "".join(error for _, error in said).count("step 2 of 2") == 1
    run = folder / launcher
    assert json.loads((run / "environment.json").read_text())["processes"] == "2"
    one, two = (load_file(f / "model.safetensors") for f in (folder / "one", run))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)


@contextlib.contextmanager
def training(folder, output):
    """Start a long training of two processes; its body begins when it has logged."""
    (process,) = launchers.start("--num-processes", words(folder, output, steps=10**8))
    rows = folder / output / "metrics.jsonl"
    try:
        while process.poll() is None and not (rows.exists() and rows.stat().st_size):
            time.sleep(0.01)
        yield process
    finally:
        process.kill()  # Its processes end with it.


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=full)],
)
def test_a_signal_to_the_command_saves_in_its_processes_and_leaves_with_its_code(
    signum, code, folder
):
    output = f"stopped-{code}"
    with training(folder, output) as process:
        process.send_signal(signum)
        ((_, said),) = launchers.finish([process])
    assert process.returncode == code
    assert len(said.splitlines()) == 1
    assert "it is saved in" in said
    assert checkpoint.load_newest(folder / output / "checkpoints") is not None


@full
def test_what_the_processes_refuse_is_said_once_with_the_code_of_one(folder):
    started = launchers.start("--num-processes", words(folder, "one"))
    ((out, said),) = launchers.finish(started)
    assert started[0].returncode == 2
    assert out == ""
    assert len(said.splitlines()) == 1
    assert "holds another run or model" in said


@full
def test_a_killed_process_ends_the_others_and_is_named(folder):
    psutil = pytest.importorskip("psutil")
    with training(folder, "killed") as process:
        children = psutil.Process(process.pid).children()
        children[1].kill()
        ((_, said),) = launchers.finish([process])
    assert process.returncode == 128 + signal.SIGKILL
    assert len(said.splitlines()) == 1
    assert " was ended by SIGKILL" in said
    assert not [child for child in children if child.is_running()]
