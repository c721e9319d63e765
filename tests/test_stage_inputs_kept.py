"""Stages whose data are codes: divided, resumed, refused, stored."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

import stacks
from genzoo import (
    Binary,
    Component,
    ConfigError,
    GenModel,
    Recipe,
    Stage,
    Trainer,
)
from genzoo.data import from_array
from genzoo.errors import CheckpointError
from genzoo.testing.cases import equal_states
from genzoo.training.batches import BatchPartition, batches
from genzoo.training.inputs import Inputs
from stacks import FIRST, SECOND, X, shown, stack, trained

# The same draws, however the batch is divided, and after a resumption.


def test_slots_have_the_same_draws_in_one_process_and_in_two():
    model, data = stack(), from_array(X[:1].repeat(32, 1), "rows")  # Only the seeds differ.
    inputs = Inputs(SECOND, model)

    def fed(micro, processes, rank):
        shares = BatchPartition(8, micro, processes, rank)
        feed = batches(data, shares, seed=5, first=0, last=2)
        found = [inputs.feed(batch, shares.slots(), 5, i) for i, batch in enumerate(feed)]
        return {
            (i, slot): batch["x"]
            for i, update in enumerate(found)
            for slot, batch in zip(shares.slots(), update, strict=True)
        }

    one, two = fed(2, 1, 0), {**fed(1, 2, 0), **fed(1, 2, 1)}
    assert one.keys() == two.keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one[0, 0], one[0, 1])
    trained_two = shown(model, ("first",), num_micro_batches=2, max_steps=2)
    assert trained_two.keys() == one.keys()
    assert all(x.shape == (4, 5) for x in trained_two.values())


def without_newer(folder, last):
    for path in (folder / "checkpoints").iterdir():
        if path.name > last:
            shutil.rmtree(path)


@pytest.mark.parametrize("last", ["stage-000-step-000000004", "stage-001-step-000000002"])
def test_a_run_goes_on_bit_for_bit_within_the_second_stage(last, tmp_path):
    straight = trained(stack(), folder=tmp_path / "straight")
    shutil.copytree(tmp_path / "straight", tmp_path / "stopped")
    without_newer(tmp_path / "stopped", last)
    resumed = trained(stack(1), folder=tmp_path / "stopped", resume=True)
    assert not equal_states(straight.state_dict(), resumed.state_dict())
    published = GenModel.from_pretrained(tmp_path / "stopped")
    assert not equal_states(straight.state_dict(), published.state_dict())


KILLED = """
import os, signal, sys
import stacks
from genzoo.training.updater import Updater

run, count = Updater.run, []

def killed(self, *given, **options):
    count.append(1)
    if len(count) == 8:  # The last update of the second stage.
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, *given, **options)

Updater.run = killed
stacks.trained(stacks.stack(), folder=sys.argv[1])
"""


def test_a_run_that_is_killed_in_the_second_stage_goes_on_bit_for_bit(tmp_path):
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(path.name for path in (tmp_path / "killed" / "checkpoints").iterdir())
    assert left[-1] == "stage-001-step-000000002"
    resumed = trained(stack(1), folder=tmp_path / "killed", resume=True)
    assert not equal_states(trained(stack()).state_dict(), resumed.state_dict())


def test_a_stage_of_other_inputs_is_another_run(tmp_path):
    trained(stack(), folder=tmp_path / "run", max_steps=2)
    model = stack()
    other = dataclasses.replace(SECOND, model="first", inputs=())
    with pytest.raises(CheckpointError, match=r"stages\[1\].inputs"):
        trained(model, [FIRST, other], tmp_path / "run", max_steps=2, resume=True)


# What is refused, before anything is written.


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inputs": ("frist",)}, r"no part 'frist'\. Did you mean 'first'"),
        (
            {"inputs": ("net",)},
            r"through 'net', a Linear: it does not encode\. Give for its inputs one of: first, ",
        ),
        (
            {"inputs": ("first",), "model": None},
            r"whole one, models 4: zeros and ones; the codes of 'first' are 5: .*do not fit: they "
            + r"have shape \(5,\), not \(4,\)\. Give for the stage's model one of: second",
        ),
        (
            {"inputs": ("first", "second")},
            r"model 'second' models 5: zeros and ones; the codes of 'second' are 3: .*Give for "
            + r"the stage's model another one; this model holds none that fits\.",
        ),
        (
            {"inputs": ("second",)},
            r"input 'second' models 5: zeros and ones; the data are 4: zeros and ones, and do "
            + r"not fit: they have shape \(4,\), not \(5,\)\. Name other inputs",
        ),
        (
            {"inputs": ("first", "other"), "model": "other"},
            r"The stage trains 'other', which its data pass through",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_is_written(changes, says, tmp_path):
    model = stack()
    model.net = nn.Linear(1, 1)
    model.other = stacks.machine(Binary(shape=(5,)), 5)
    stage = dataclasses.replace(SECOND, **changes)
    with pytest.raises(ConfigError, match=says):
        Trainer(model, X, stage, output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_inputs_are_a_list_of_names():
    for wrong in ("first", ("",), (1,), ("first",) * 17):
        with pytest.raises(ConfigError, match=r"Stage\.inputs"):
            Stage(objective=Component(name="pcd"), inputs=wrong)


def test_inputs_stand_in_a_recipe(tmp_path):
    recipe = Recipe(
        model=Component(name="toy-stack"),
        data=Component(name="bars-and-stripes"),
        stages=(FIRST, SECOND),
    )
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    assert tomllib.loads(path.read_text())["stages"][1]["inputs"] == ["first"]
    assert Recipe.read(path) == recipe
    trained(stack(), folder=tmp_path / "run")
    written = Recipe.read(tmp_path / "run" / "recipe.toml")
    assert [stage.inputs for stage in written.stages] == [(), ("first",)]
