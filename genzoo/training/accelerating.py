"""Accelerate, taken up for one fit and put back as it was."""

from __future__ import annotations

import atexit
import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DistributedType, broadcast
from torch import nn

from genzoo.errors import ConfigError, TrainingError
from genzoo.training.config import TrainerConfig

_REFUSED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


@contextlib.contextmanager
def accelerating(config: TrainerConfig, folder: Path | None) -> Iterator[Accelerator]:
    """Give an `Accelerator`, and reset the shared state that it sets.

    Raises:
        TrainingError: Accelerate is set up to shard parameters, which is not supported.
    """
    ours = not AcceleratorState._shared_state
    try:
        accelerator = _make(config, folder)
        if accelerator.num_processes > 1:
            atexit.register(leave_group)  # Not before: the next fit goes on with it.
        try:
            yield accelerator
        finally:
            if config.log_with:
                accelerator.end_training()
    finally:
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
    devices = [device] if device.type not in ("cpu", "mps") else []
    kind = device.type if device.type not in ("cpu", "mps") else "cuda"
    with torch.random.fork_rng(devices=devices, device_type=kind):
        yield


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
    trackers: Any = list(config.log_with) or None
    try:
        accelerator = Accelerator(
            mixed_precision=config.mixed_precision,
            log_with=trackers,
            project_dir=str(folder) if folder is not None and trackers else None,
        )
    except (ValueError, ImportError) as error:
        raise ConfigError(f"Accelerate cannot be set up: {error}") from error
    if accelerator.distributed_type in _REFUSED:
        raise TrainingError(
            f"{accelerator.distributed_type.value} shards parameters, which genzoo does not "
            "support yet. Use 'accelerate config' to choose plain data parallelism."
        )
    if trackers:
        accelerator.init_trackers("genzoo")
    return accelerator
