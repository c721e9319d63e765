"""Accelerate, set up for one fit and reset afterwards."""

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
from genzoo.training.sharding.tensors import forget_meshes

# FSDP replaces a player's parameters with shards, which `losses` and the check of gradients would
# not see: training would fail silently.
_REFUSED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
T = TypeVar("T")


@contextlib.contextmanager
def accelerating(config: TrainerConfig, folder: Path | None) -> Iterator[Accelerator]:
    """Provide an `Accelerator`, and reset its shared state afterwards.

    Raises:
        TrainingError: Accelerate is set up to shard parameters, which is not supported; or a
            launcher has started processes that do not form one group.
        LoadError: The folder of the trackers is a link.
    """
    ours = not AcceleratorState._shared_state
    try:
        accelerator = _make(config, folder)
        if accelerator.num_processes > 1:
            atexit.register(leave_group)  # Not earlier: the next fit uses it again.
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
    """End the process group; otherwise its threads sometimes abort a process at exit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        forget_meshes()  # Or its threads stay.
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Restore the default generators at the end."""
    # Every move seeds them, for dropout and torch.distributions; the caller's draws after training
    # must not depend on it.
    devices = [device] if device.type not in ("cpu", "mps") else []
    kind = device.type if device.type not in ("cpu", "mps") else "cuda"
    with torch.random.fork_rng(devices=devices, device_type=kind):
        yield


def on_main(accelerator: Accelerator, action: Callable[[], T]) -> T | None:
    """Run an action on the main process, and return its result there; None elsewhere.

    If it raises an error of genzoo, all processes raise one, so none waits for a process that has
    stopped.
    """
    found, error = None, None
    if accelerator.is_main_process:
        try:
            found = action()
        except GenzooError as raised:
            error = raised
    if accelerator.num_processes > 1:
        # If only the main process raised, the others would wait for it in their next message until
        # a timeout.
        (error,) = broadcast_object_list([error])
    if error is not None:
        raise error
    return found


def from_main(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Run an action on the main process, and return its result on all."""
    found: Any = on_main(accelerator, action)
    if accelerator.num_processes > 1:
        (found,) = broadcast_object_list([found])
    result: T = found
    return result


def autocast(accelerator: Accelerator) -> contextlib.AbstractContextManager[None]:
    """Return Accelerate's autocast if enabled; its set-up is noticeable in small steps."""
    on = accelerator.mixed_precision != "no"
    return accelerator.autocast() if on else contextlib.nullcontext()


@contextlib.contextmanager
def others_named(accelerator: Accelerator) -> Iterator[None]:
    """Map the error of a communication library for a lost process to a TrainingError.

    Raises:
        TrainingError: Another process has ended or cannot be reached.
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
    """Broadcast the first process's parameters and buffers."""
    if accelerator.num_processes == 1:
        return
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.copy_(broadcast(tensor.detach().clone()))


def _make(config: TrainerConfig, folder: Path | None) -> Accelerator:
    if torch.distributed.is_available():
        # Its functions have the group as a default argument: if it were imported later, for
        # example by the first optimiser, they would keep the group and its threads until after the
        # end of Python.
        importlib.import_module("torch.distributed.nn.functional")
        if config.shard != "none" and _launched() > 1:
            importlib.import_module("torch.distributed.fsdp")
    # Whether processes can communicate through a device other than the CPU.
    device = torch.accelerator.current_accelerator(check_available=True)
    only_cpu = device is None or device.type == "mps"
    trackers: Any = list(config.report_to) or None
    try:
        accelerator = Accelerator(
            cpu=_launched() > 1 and only_cpu,
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
    """Return the number of processes that a launcher such as torchrun has started."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if "LOCAL_RANK" in os.environ and size.isdecimal() else 1


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
