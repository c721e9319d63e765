"""The parts of a training's state: where each process's buffers go, and what a batch becomes."""

import types

import pytest
import torch

import families
from genzoo.errors import CheckpointError
from genzoo.training.batches import to_device
from genzoo.training.best import Best
from genzoo.training.config import TrainerConfig
from genzoo.training.ema import Average
from genzoo.training.state import StageState


class Kept:
    """An objective that is given its buffers."""

    def __init__(self):
        self.buffers = {}

    def set_process_buffer(self, name, value):
        self.buffers[name] = value


def loaded(kept, *, num_processes, rank):
    """Return what a process is given of the buffers that each process had."""
    objective = Kept()
    accelerator = types.SimpleNamespace(
        num_processes=num_processes, process_index=rank, device=torch.device("cpu")
    )
    state = StageState(None, objective, {}, None, Best(TrainerConfig()), accelerator)
    tensors = {f"process-{i}": buffers for i, buffers in enumerate(kept)}
    values = {"process_buffers": True, "num_processes": len(kept)}
    state._load_process_state(tensors, values)
    return {name: value.item() for name, value in objective.buffers.items()}


def slots(*numbers):
    return {f"chains_of_8_{i}": torch.tensor(float(i)) for i in numbers}


def named(*numbers):
    return {f"chains_of_8_{i}": float(i) for i in numbers}


def test_buffers_follow_their_slot_to_the_process_that_has_it_now():
    two = [slots(0, 2, 10), slots(1, 3, 11)]
    assert loaded(two, num_processes=2, rank=1) == named(1, 3, 11)
    assert loaded(two, num_processes=1, rank=0) == named(0, 1, 2, 3, 10, 11)
    assert loaded([slots(0, 1, 2, 3, 10, 11)], num_processes=2, rank=0) == named(0, 2, 10)
    assert loaded(two, num_processes=4, rank=3) == named(3, 11)


def test_buffers_of_no_slot_stay_with_their_process_or_are_refused():
    two = [{"pool": torch.tensor(0.0)}, {"pool": torch.tensor(1.0)}]
    assert loaded(two, num_processes=2, rank=1) == {"pool": 1.0}
    with pytest.raises(CheckpointError, match="had 2 processes, each with its own pool"):
        loaded(two, num_processes=1, rank=0)


def test_real_tensors_of_a_batch_become_the_models_type_and_the_rest_stays():
    batch = {"x": torch.rand(2, 3), "label": torch.arange(2), "text": ["a", "b"]}
    found = to_device(batch, torch.device("cpu"), torch.float64)
    assert torch.equal(found["x"], batch["x"].double())
    assert found["x"].dtype == torch.float64
    assert found["label"].dtype == torch.int64
    assert found["text"] == ["a", "b"]
    assert to_device(batch, torch.device("meta"))["x"].dtype == torch.float32
    assert to_device(batch, torch.device("meta"))["label"].is_meta


def test_averaged_weights_are_not_trained():
    model = families.linear()
    average = Average(model, 0.5)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
