"""Sharded networks in two real processes equal whole ones: trained, stored and resumed.

Everything computes in float64, where the order of summation does not matter.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import sharded_processes
import two_processes
from genzoo import registry
from genzoo.component import ComponentOverride
from genzoo.errors import ConfigError, WeightsError
from genzoo.model_files import EMA_SNAPSHOTS
from genzoo.tensor_file import write_tensors
from genzoo.training import checkpoint
from genzoo.training.config import TrainerConfig, check_sharding
from test_processes import ENVIRONMENT, HERE, TORCHRUN, launch, losses, weights_in

INSTALLED = [entry.name for entry in registry.entries("models") if entry.distribution]
# Whole and sharded networks in one objective, second derivatives, several stages, shared layers.
FEW = ["toy-linear", "toy-stack", "gan:wasserstein-gp", "ddpm", "transformer"]


def pair(tmp_path_factory, models, updates):
    """Return a folder with runs of two sharded processes, in "two", and of one, in "one"."""
    folder = tmp_path_factory.mktemp("sharded")
    environment = {"UPDATES": str(updates)}
    launch(TORCHRUN, 1, folder / "two", *models, SHARD="1", **environment)
    launch((), 2, folder / "one", *models, SHARD="0", **environment)
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return pair(tmp_path_factory, FEW, 6)


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return pair(tmp_path_factory, [m for m in INSTALLED if m not in FEW], 1)


def equal(folder, model):
    two, one = (weights_in(folder / name / model) for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-6, atol=1e-7)
    ours, theirs = (losses(folder / name / model) for name in ("two", "one"))
    assert ours
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("model", FEW)
def test_sharded_networks_equal_whole_ones(model, few):
    equal(few, model)


@pytest.mark.parametrize("model", [m for m in INSTALLED if m not in FEW])
def test_every_model_can_be_trained_with_sharded_networks(model, every):
    equal(every, model)


@pytest.mark.full
def test_every_model_after_six_updates(tmp_path_factory):
    folder = pair(tmp_path_factory, INSTALLED, 6)
    for model in INSTALLED:
        equal(folder, model)


@pytest.mark.parametrize("model", FEW)
def test_norms_and_evaluations_are_those_of_whole_networks(model, few):
    """The norm of a gradient is that of all parts; what is evaluated is the whole model."""
    ours, theirs = (figures(few / name / model) for name in ("two", "one"))
    assert any("eval" in name for _, name in ours)
    assert any("grad_norm" in name for _, name in ours)
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-9)


def figures(folder):
    """Return the norms and the figures of evaluations of a run by line and name."""
    lines = map(json.loads, (folder / "metrics.jsonl").open())
    return {
        (number, name): value
        for number, line in enumerate(lines)
        for name, value in line.items()
        if name.endswith(("loss", "grad_norm"))
    }


@pytest.mark.parametrize("model", FEW)
def test_checkpoints_and_snapshots_hold_whole_tensors(model, few):
    two, one = (
        checkpoint.list_checkpoints(few / name / model / "checkpoints")[-1]
        for name in ("two", "one")
    )
    ours, theirs = (checkpoint.read(path).tensors for path in (two, one))
    assert {n for n in ours if not n.startswith("process")} == {
        n for n in theirs if not n.startswith("process")
    }
    assert "average" in ours
    for file in ours.keys() & theirs.keys():
        if not file.startswith("process"):
            same(ours[file], theirs[file])
    snapshots = [
        sorted((few / name / model / EMA_SNAPSHOTS.name).iterdir()) for name in ("two", "one")
    ]
    assert [path.name for path in snapshots[0]] == [path.name for path in snapshots[1]]
    for a, b in zip(*snapshots, strict=True):
        same(load_file(a), load_file(b))


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-6, atol=1e-7)


def cut_back(folder, to):
    """Copy a run as it was after its first checkpoint."""
    shutil.copytree(folder, to)
    for newer in checkpoint.list_checkpoints(to / "checkpoints")[1:]:
        shutil.rmtree(newer)


def test_a_run_is_resumed_sharded_or_whole_whatever_it_was_before(few, tmp_path, monkeypatch):
    models = ["gan:wasserstein-gp", "toy-linear"]
    for before in ("two", "one"):
        for model in models:
            cut_back(few / before / model, tmp_path / before / model)
    cut_back(few / "two" / "toy-linear", tmp_path / "whole" / "toy-linear")
    both = os.pathsep.join(str(tmp_path / before) for before in ("one", "two"))
    launch(TORCHRUN, 1, both, *models, "resume", SHARD="1")
    monkeypatch.setenv("SHARD", "0")
    two_processes.train("toy-linear", 2, tmp_path / "whole" / "toy-linear", resume=True)
    for model in models:
        straight = weights_in(few / "two" / model)
        again = weights_in(tmp_path / "two" / model)
        assert all(torch.equal(again[name], straight[name]) for name in straight)
        same(weights_in(tmp_path / "one" / model), straight)
    same(weights_in(tmp_path / "whole" / "toy-linear"), weights_in(few / "two" / "toy-linear"))


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What each of two processes has found in each check of `sharded_processes`."""
    folder = tmp_path_factory.mktemp("checks")
    script = HERE / "sharded_processes.py"
    command = [sys.executable, "-m", *TORCHRUN, str(script), str(folder)]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", sharded_processes.CHECKS)
def test_in_two_processes(name, checked):
    assert [found[name] for found in checked] == ["", ""]


@pytest.mark.parametrize(
    ("values", "whole", "message"),
    [
        ({"mixed_precision": "fp16"}, [], "does not work with mixed_precision 'fp16'"),
        ({"channels_last": True}, [], "does not work with channels_last"),
        ({}, ["muon"], "does not work with the optimizer muon, which needs whole"),
    ],
)
def test_what_excludes_sharding_is_refused(values, whole, message):
    with pytest.raises(ConfigError, match=message):
        check_sharding(TrainerConfig(shard="auto", **values), whole)
    check_sharding(TrainerConfig(**values), whole)


def test_muon_needs_whole_parameters_and_the_trainer_says_so():
    import families

    config = TrainerConfig(shard=1, optimizers={"model": ComponentOverride(name="muon")})
    with pytest.raises(ConfigError, match="the optimizer muon, which needs whole parameters"):
        two_processes.genzoo.Trainer(families.linear(), sharded_processes.DATA, config=config)


def test_one_process_shards_nothing_and_says_so(caplog):
    caplog.set_level("INFO", "genzoo")
    trainer = sharded_processes.trainer(shard=10**9, max_steps=1)
    assert trainer.fit() is trainer.model
    assert "shard 1000000000: nothing is sharded in one process." in caplog.messages


def test_a_file_that_is_written_tensor_by_tensor_is_that_of_the_library(tmp_path):
    kinds = [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.uint8]
    tensors = {f"é.{k}": torch.arange(6).reshape(2, 3).to(k) for k in kinds}
    tensors |= {"scalar": torch.tensor(2.0), "empty": torch.zeros(0, 3)}
    tensors["turned"] = torch.arange(6.0).reshape(2, 3).T
    write_tensors(tmp_path / "a.safetensors", tensors)
    save_file({n: t.contiguous() for n, t in tensors.items()}, tmp_path / "b.safetensors")
    ours, theirs = (load_file(tmp_path / f"{name}.safetensors") for name in "ab")
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor)
    with pytest.raises(WeightsError, match="complex64, which the format does not have"):
        write_tensors(tmp_path / "c.safetensors", {"z": torch.zeros(1, dtype=torch.complex64)})
