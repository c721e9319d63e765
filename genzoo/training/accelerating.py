"""Accelerate, set up for one fit and reset afterwards."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import importlib
import os
import platform
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import (
    DistributedType,
    InitProcessGroupKwargs,
    broadcast,
    broadcast_object_list,
    gather_object,
)
from torch import nn

from genzoo import launching
from genzoo.errors import ConfigError, GenzooError, ProcessLostError, TrainingError
from genzoo.files import check_no_link
from genzoo.training.config import TrainerConfig
from genzoo.training.sharding.tensors import forget_meshes
from genzoo.version import __version__

ANSWER_WITHIN = datetime.timedelta(minutes=30)
"""The time limit for a process that does not answer. While the main process writes a checkpoint,
the others wait for it: 30 minutes are enough for 300 GB at 200 MB/s."""

# FSDP replaces a player's parameters with shards, which `losses` and the check of gradients would
# not see: training would fail silently.
_REFUSED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
# What the errors of the communication libraries say, which have no class of their own.
_LOST = ("gloo", "NCCL", "pair closure", "by peer")
T = TypeVar("T")


@contextlib.contextmanager
def accelerating(config: TrainerConfig, folder: Path | None) -> Iterator[Accelerator]:
    """Provide an `Accelerator`, and reset its shared state afterwards.

    Raises:
        TrainingError: Accelerate is set up to shard parameters, which is not supported; or a
            launcher has started processes that do not form one group, or that differ in their
            versions or folders.
        LoadError: The folder of the trackers is a link.
    """
    ours = not AcceleratorState._shared_state
    try:
        accelerator = _make(config, folder)
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
    """Map the error of a communication library for a lost process to a ProcessLostError.

    Raises:
        ProcessLostError: Another process has ended or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        lost = isinstance(error, torch.distributed.DistError)
        lost = lost or any(word in text for word in _LOST)
        if accelerator.num_processes == 1 or not lost:
            raise
        why = "one of them has ended or cannot be reached. Its own message says why."
        if "Timed out" in text or "timeout" in text:
            why = "one of them has not answered within the time limit. It is stuck, or too slow."
        raise ProcessLostError(
            f"Process {accelerator.process_index} of {accelerator.num_processes} has lost the "
            f"others: {why} Start all of them again with --resume."
        ) from error


def same_everywhere(module: nn.Module, accelerator: Accelerator) -> None:
    """Broadcast the first process's parameters and buffers."""
    if accelerator.num_processes == 1:
        return
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            tensor.copy_(broadcast(tensor.detach().clone()))


def _make(config: TrainerConfig, folder: Path | None) -> Accelerator:
    launching.join()
    if torch.distributed.is_available():
        # Its functions have the group as a default argument: if it were imported later, for
        # example by the first optimiser, they would keep the group and its threads until after the
        # end of Python.
        importlib.import_module("torch.distributed.nn.functional")
        if config.shard != "none" and launching.size_of() > 1:
            importlib.import_module("torch.distributed.fsdp")
    # Whether processes can communicate through a device other than the CPU.
    device = torch.accelerator.current_accelerator(check_available=True)
    only_cpu = device is None or device.type == "mps"
    trackers: Any = list(config.report_to) or None
    num = launching.size_of()
    if num > 1 and only_cpu:
        _share_cores()
    try:
        with _ended_by_signals() if num > 1 else contextlib.nullcontext():
            accelerator = Accelerator(
                cpu=num > 1 and only_cpu,
                mixed_precision=config.mixed_precision,
                log_with=trackers,
                project_dir=str(folder) if folder is not None and trackers else None,
                kwargs_handlers=[InitProcessGroupKwargs(timeout=ANSWER_WITHIN)],
            )
    except (ValueError, ImportError) as error:
        raise ConfigError(f"Accelerate cannot be set up: {error}") from error
    except torch.distributed.DistError as error:
        raise TrainingError(_no_group(error)) from error
    _demand_one_group(accelerator)
    if accelerator.num_processes > 1:
        atexit.register(leave_group)  # Not earlier: the next fit uses it again.
        _demand_alike(gather_object([_describe(folder)]))
    if accelerator.distributed_type in _REFUSED:
        raise TrainingError(
            f"{accelerator.distributed_type.value} shards parameters in a way that genzoo does "
            "not support. Choose plain data parallelism with 'accelerate config', and shard with "
            "TrainerConfig.shard."
        )
    if trackers:
        if folder is not None:
            check_no_link(folder / "genzoo")
        accelerator.init_trackers("genzoo")
    return accelerator


def _share_cores() -> None:
    """Use this process's share of the machine's cores, unless OMP_NUM_THREADS says how many.

    srun and mpirun set no number of threads: each process would use all cores. Accelerate's own
    choice does not know of the cores that SLURM has given to the process.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    every = os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
    # With fewer cores than the machine has, they were given to this process alone.
    num = max(1, (cores or 1) // (here if (cores or 1) >= every else 1))
    os.environ["OMP_NUM_THREADS"] = str(num)
    torch.set_num_threads(num)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process while it waits for the others.

    Nothing is written yet, and a handler of Python would not run before all are there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signums = (signal.SIGINT, signal.SIGTERM)
    before = {signum: signal.signal(signum, signal.SIG_DFL) for signum in signums}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)


def _no_group(error: Exception) -> str:
    """Return the error of processes that cannot connect to each other."""
    where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    if "EADDRINUSE" in str(error) or "address already in use" in str(error).lower():
        return f"Another program uses {where}. Set MASTER_PORT to a free port, for all processes."
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"The processes cannot connect to the first one at {where}, the MASTER_ADDR and "
        f"MASTER_PORT of all of them: {lines[0]}"
    )


def _describe(folder: Path | None) -> dict[str, str]:
    """Return what all processes of a group must have in common, and the host."""
    return {
        "host": socket.gethostname(),
        "versions": (
            f"genzoo {__version__}, torch {torch.__version__}, Python {platform.python_version()}"
        ),
        "folder": "none" if folder is None else str(folder),
    }


def _demand_alike(members: Sequence[dict[str, str]]) -> None:
    """Refuse processes that would not compute the same.

    Raises:
        TrainingError: They have different versions of genzoo, torch or Python, or train in
            different folders.
    """
    if len({member["versions"] for member in members}) > 1:
        found: dict[str, list[str]] = {}
        for member in members:
            found.setdefault(member["versions"], []).append(member["host"])
        had = "; ".join(f"{', '.join(dict.fromkeys(h))}: {v}" for v, h in found.items())
        raise TrainingError(
            f"The processes of one group have different versions, on {had}. Install the same "
            "versions on all hosts."
        )
    if len(folders := dict.fromkeys(member["folder"] for member in members)) > 1:
        raise TrainingError(
            f"The processes of one group train in different folders: {', '.join(folders)}. They "
            "train one model together; start separate trainings one by one, such as with "
            "srun --ntasks 1."
        )


def _demand_one_group(accelerator: Accelerator) -> None:
    """Refuse processes that do not form one group: each would train on its own.

    Raises:
        TrainingError: The launcher has started more processes than are in the group.
    """
    launched = launching.size_of()
    if launched == accelerator.num_processes:
        return
    raise TrainingError(
        f"The launcher has started {launched} processes (WORLD_SIZE), and this one is in a group "
        f"of {accelerator.num_processes}: each would train alone, in the same folder. Start them "
        "with torchrun, or with accelerate launch --multi_gpu; unset WORLD_SIZE for one process."
    )
