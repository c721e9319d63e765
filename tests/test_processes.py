"""Two processes, started by `accelerate launch` or `torchrun`, equal one with two micro-batches.

All models are trained by the same two processes, one after another, as stages and several fits
are: starting a pair takes longer than a training.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import two_processes
from genzoo import registry
from genzoo.errors import CheckpointError, TrainingError
from genzoo.storage import FolderSource, open_model
from genzoo.training import accelerating, checkpoint

HERE = Path(__file__).parent
SCRIPT = HERE / "two_processes.py"


ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("ACCELERATE_")},
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    "OMP_NUM_THREADS": "1",
}
# As the README has them: nothing tells either that there is no accelerator.
ACCELERATE = (
    *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
)
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def launch(launcher, *arguments, **environment):
    started = [sys.executable, "-m", *launcher] if launcher else [sys.executable]
    command = [*started, str(SCRIPT)]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env={**ENVIRONMENT, **environment},
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
# One model of each kind of training: chains, pools, several players, several stages, averages.
MODELS = [
    "toy-linear",
    "toy-stack",
    "gan:wasserstein-gp",
    "rbm",
    "cyclegan",
    "vae",
    "made",
    "ddpm",
]


def weights_in(folder):
    """Return the tensors of a model folder."""
    return open_model(FolderSource(folder)).weights.read()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with models of two processes, in "two", and of one, in "one"."""
    return both(tmp_path_factory.mktemp("processes"), MODELS)


def both(folder, models):
    launch(ACCELERATE, 1, folder / "two", *models)
    launch((), 2, folder / "one", *models)
    return folder


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """The same with all other models."""
    models = [model for model in INSTALLED if model not in MODELS]
    return both(tmp_path_factory.mktemp("others"), models)


@pytest.mark.parametrize("model", MODELS)
def test_two_processes_equal_two_micro_batches(model, trained):
    """Up to the order of summation: 1e-6 relative in float32. Chains and pools go by slot."""
    compared(trained, model)


@pytest.mark.full
@pytest.mark.parametrize("model", [model for model in INSTALLED if model not in MODELS])
def test_every_model_in_two_processes_equals_two_micro_batches(model, others):
    compared(others, model)


def compared(trained, model):
    two, one = (weights_in(trained / name / model) for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)
    assert num_processes(trained / "two" / model) == 2
    assert num_processes(trained / "one" / model) == 1
    ours, theirs = (losses(trained / name / model) for name in ("two", "one"))
    assert ours
    assert ours == pytest.approx(theirs, rel=1e-5)


def stopped_early(trained, tmp_path, model):
    """Return a copy of a run of two processes as it was after its first checkpoint."""
    folder = tmp_path / model
    shutil.copytree(trained / "two" / model, folder)
    for newer in checkpoint.list_checkpoints(folder / "checkpoints")[1:]:
        shutil.rmtree(newer)
    return folder


@pytest.mark.parametrize("model", ["rbm", "cyclegan", "toy-linear"])
def test_two_processes_are_resumed_as_one_with_two_micro_batches(model, trained, tmp_path):
    """Chains and pools follow their slot; one process with another number of slots is refused."""
    folder = stopped_early(trained, tmp_path, model)
    with pytest.raises(CheckpointError, match="Processes × micro-batches was 2 and is 1"):
        two_processes.train(model, 1, folder, resume=True)
    two_processes.train(model, 2, folder, resume=True)
    assert num_processes(folder) == 1
    straight, resumed = (weights_in(f) for f in (trained / "two" / model, folder))
    for name in straight:
        torch.testing.assert_close(resumed[name], straight[name], rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def resumed(trained, tmp_path_factory):
    """Both runs of the rbm, cut back to their first checkpoint and resumed by two processes."""
    folder = tmp_path_factory.mktemp("resumed")
    first = {}
    for before in ("one", "two"):
        shutil.copytree(trained / before / "rbm", folder / before / "rbm")
        path, *newer = checkpoint.list_checkpoints(folder / before / "rbm" / "checkpoints")
        first[before] = checkpoint.read(path).tensors
        for later in newer:
            shutil.rmtree(later)
    both = os.pathsep.join([str(folder / "one"), str(folder / "two")])
    launch(TORCHRUN, 1, both, "rbm", "resume")
    return folder, first


def test_each_processes_chains_are_saved_and_come_back_to_it(trained, resumed):
    folder, first = resumed
    assert sorted(first["two"]["process-0"]) == ["chains_0"]
    assert sorted(first["two"]["process-1"]) == ["chains_1"]
    straight, found = (
        load_file(runs / "two" / "rbm" / "model.safetensors") for runs in (trained, folder)
    )
    assert all(torch.equal(straight[name], found[name]) for name in straight)


def test_two_processes_go_on_with_the_two_micro_batches_of_one(trained, resumed):
    folder, first = resumed
    assert sorted(first["one"]["process-0"]) == ["chains_0", "chains_1"]
    straight, found = (weights_in(runs / "one" / "rbm") for runs in (trained, folder))
    for name in straight:
        torch.testing.assert_close(found[name], straight[name], rtol=1e-6, atol=1e-7)
    assert num_processes(folder / "one" / "rbm") == 2


def test_a_process_that_loses_the_others_says_so_and_its_checkpoint_is_good(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(SCRIPT), "1", str(tmp_path), "toy-linear"]
    started = [
        subprocess.Popen(
            command,
            env={**ENVIRONMENT, **group, "RANK": rank, "LOCAL_RANK": rank, "LEAVE_AT": "4"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [1, 7]
    assert "ProcessLostError: Process 0 of 2 has lost the others" in said[0]
    newest = checkpoint.load_newest(tmp_path / "toy-linear" / "checkpoints")
    assert newest is not None
    assert newest[1].step == 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[gloo/transport/tcp/pair.cc:547] Connection closed by peer", "has ended or cannot be"),
        ("Connection reset by peer", "has ended or cannot be reached"),
        ("[gloo/unbound_buffer.cc:81] Timed out waiting 2000ms for recv", "has not answered"),
        ("Application timeout caused pair closure", "has not answered within the time limit"),
    ],
)
def test_an_error_of_a_communication_library_is_named(text, why):
    group = types.SimpleNamespace(num_processes=2, process_index=1)
    with (
        pytest.raises(TrainingError, match=f"Process 1 of 2 has lost the others: .*{why}"),
        accelerating.others_named(group),
    ):
        raise RuntimeError(text)
    with pytest.raises(RuntimeError, match="shapes"), accelerating.others_named(group):
        raise RuntimeError("shapes")


@pytest.mark.parametrize(("size", "alone"), [("2", True), ("3", False)])
def test_processes_that_form_no_group_are_refused(size, alone, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", size)
    monkeypatch.setenv("LOCAL_RANK", "0")
    group = types.SimpleNamespace(num_processes=1 if alone else 2)
    with pytest.raises(TrainingError, match=f"has started {size} processes"):
        accelerating._demand_one_group(group)
    monkeypatch.setenv("WORLD_SIZE", str(group.num_processes))
    accelerating._demand_one_group(group)


def test_what_the_main_process_raises_all_raise(monkeypatch):
    """Those that wait would otherwise fail later, in a communication library's words."""
    sent = []
    monkeypatch.setattr(accelerating, "broadcast_object_list", lambda found: sent or found)
    main = types.SimpleNamespace(num_processes=2, is_main_process=True)
    other = types.SimpleNamespace(num_processes=2, is_main_process=False)

    def refuse():
        raise CheckpointError("No.")

    with pytest.raises(CheckpointError, match="No"):
        accelerating.on_main(main, refuse)
    sent.append(CheckpointError("No."))
    with pytest.raises(CheckpointError, match="No"):
        accelerating.on_main(other, pytest.fail)
    sent[0] = None
    assert accelerating.on_main(main, lambda: 5) == 5
    assert accelerating.on_main(other, pytest.fail) is None
