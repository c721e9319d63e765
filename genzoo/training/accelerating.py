"""Accelerate, taken up for one fit and put back as it was."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedType, broadcast, broadcast_object_list
from torch import nn

from genzoo.errors import ConfigError, GenzooError, TrainingError
from genzoo.files import check_no_link
from genzoo.training.config import TrainerConfig

# FSDP replaces a player's parameters with shards, which `losses` and the check of gradients would
# not see: training would go wrong without a word.
_REFUSED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
T = TypeVar("T")


@contextlib.contextmanager
def accelerating(config: TrainerConfig, folder: Path | None) -> Iterator[Accelerator]:
    """Give an `Accelerator`, and reset the shared state that it sets.

    Raises:
        TrainingError: Accelerate is set up to shard parameters, which is not supported; or a
            launcher has started processes that do not know of each other.
        LoadError: The folder of its trackers is a link.
    """
    ours = not AcceleratorState._shared_state
    try:
        accelerator = _make(config, folder)
        if accelerator.num_processes > 1:
            atexit.register(leave_group)  # Not before: the next fit goes on with it.
        try:
            yield accelerator
        finally:
            if config.report_to:
                accelerator.end_training()
    finally:
        # Accelerate keeps its set-up in shared state: a second Trainer in this process would get
        # the precision and the trackers of the first.
        if ours:
            AcceleratorState._reset_state(reset_partial_state=True)
            GradientState._reset_state()


def leave_group() -> None:
    """End the process group; at exit its threads would otherwise abort a process now and then."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Put the default generators back as they were at the end."""
    # Every move seeds them, for dropout and torch.distributions; what the caller draws after
    # training must not depend on it.
    devices = [device] if device.type not in ("cpu", "mps") else []
    kind = device.type if device.type not in ("cpu", "mps") else "cuda"
    with torch.random.fork_rng(devices=devices, device_type=kind):
        yield


def on_main(accelerator: Accelerator, action: Callable[[], T]) -> T | None:
    """Run an action on the main process, and return what it returns there; None elsewhere.

    What it raises on purpose, every process raises: the others do not wait for one that has left.
    """
    found, error = None, None
    if accelerator.is_main_process:
        try:
            found = action()
        except GenzooError as raised:
            error = raised
    if accelerator.num_processes > 1:
        # An error that only the main process raised would leave the others waiting for it in
        # their next message, until a time-out.
        (error,) = broadcast_object_list([error])
    if error is not None:
        raise error
    return found


@contextlib.contextmanager
def others_named(accelerator: Accelerator) -> Iterator[None]:
    """Turn what a communication library raises when another process is gone into a sentence.

    Raises:
        TrainingError: Another process has ended, or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in text or "NCCL" in text
        if accelerator.num_processes == 1 or not lost:
            raise
        raise TrainingError(
            f"Process {accelerator.process_index} of {accelerator.num_processes} has lost the "
            "others: one of them has ended or cannot be reached. Its own message says why. Start "
            "all of them again with --resume."
        ) from error


def same_everywhere(module: nn.Module, accelerator: Accelerator) -> None:
    """Give every process the first one's parameters and buffers."""
    if accelerator.num_processes == 1:
        return
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.copy_(broadcast(tensor.detach().clone()))


def _make(config: TrainerConfig, folder: Path | None) -> Accelerator:
    if torch.distributed.is_available():
        # Its functions have the group for a default: imported later, as by the first optimiser,
        # they would keep the group and its threads until after Python's end.
        importlib.import_module("torch.distributed.nn.functional")
    trackers: Any = list(config.report_to) or None
    try:
        accelerator = Accelerator(
            cpu=_launched() > 1 and not _has_accelerator(),
            mixed_precision=config.mixed_precision,
            log_with=trackers,
            project_dir=str(folder) if folder is not None and trackers else None,
        )
    except (ValueError, ImportError) as error:
        raise ConfigError(f"Accelerate cannot be set up: {error}") from error
    _demand_one_group(accelerator)
    if accelerator.distributed_type in _REFUSED:
        raise TrainingError(
            f"{accelerator.distributed_type.value} shards parameters, which genzoo does not "
            "support yet. Use 'accelerate config' to choose plain data parallelism."
        )
    if trackers:
        if folder is not None:
            check_no_link(folder / "genzoo")
        accelerator.init_trackers("genzoo")
    return accelerator


def _launched() -> int:
    """Return how many processes a launcher such as torchrun says that it has started."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if "LOCAL_RANK" in os.environ and size.isdecimal() else 1


def _has_accelerator() -> bool:
    """Whether processes can talk to each other through a device other than the CPU."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return found is not None and found.type != "mps"


def _demand_one_group(accelerator: Accelerator) -> None:
    """Refuse processes that do not form one group: each would train on its own.

    Raises:
        TrainingError: The launcher has started more processes than are in the group.
    """
    launched = _launched()
    if launched == accelerator.num_processes:
        return
    raise TrainingError(
        f"The launcher has started {launched} processes (WORLD_SIZE), and this one is in a group "
        f"of {accelerator.num_processes}: each would train alone, in the same folder. Start them "
        "with torchrun, or with accelerate launch --multi_gpu; unset WORLD_SIZE for one process."
    )
