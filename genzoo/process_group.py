"""Work in numbered blocks, divided among the processes that a launcher has started.

Samples and evaluations consist of blocks that do not depend on each other, and that each process
can compute. Inside of `divided_work`, `map_blocks` gives each process some of them and each
process all results, in order. So all processes hold the same values as one process would.
Everything outside of blocks is computed by every process alike.
"""

from __future__ import annotations

import contextlib
import importlib
import pickle
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from genzoo import launching
from genzoo.errors import GenzooError

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that divide work.

    Arguments:
        rank: The number of this process, from 0; process 0 is the main one.
        size: The number of processes.
    """

    rank: int
    size: int


_group: ContextVar[Group | None] = ContextVar("group", default=None)
_Failure = tuple[int, Exception] | None
"""The number of a block and its error."""


@contextlib.contextmanager
def divided_work(device: torch.device | str = "cpu") -> Iterator[None]:
    """Divide samples and evaluations inside among the processes of a launcher.

    All processes make the same calls inside, with the same arguments, and receive the same
    results: those of one process, bit for bit, if each computes with the same number of threads on
    the same kind of device. If there is no launcher, nothing changes.

    ::

        with genzoo.divided_work():  # In a script that torchrun has started.
            x = model.sample(100_000, seed=0)

    Arguments:
        device: The device of the models inside; a CPU needs another way to communicate than
            accelerators.

    Raises:
        GenzooError: The processes form no group; or another process has ended.
    """
    launching.join()
    size = launching.size_of()
    if size == 1 or _group.get() is not None:
        yield
        return
    with _joined(size, torch.device(device)) as group:
        token = _group.set(group)
        try:
            yield
        finally:
            _group.reset(token)


def is_main() -> bool:
    """Whether this process is the main one, which alone writes and prints."""
    group = _group.get()
    return group is None or group.rank == 0


def num_processes() -> int:
    """Return the number of processes that divide the work here."""
    group = _group.get()
    return 1 if group is None else group.size


def share_of(num: int) -> int:
    """Return how many of ``num`` blocks this process computes."""
    group = _group.get()
    return num if group is None else len(range(group.rank, num, group.size))


def map_blocks(block: Callable[[int], T], num: int) -> list[T]:
    """Return ``block(0)``, …, ``block(num - 1)``.

    Inside of `divided_work` each block is computed by one process, and all processes receive all
    results. What a block calls is not divided again.

    Arguments:
        block: A function of the number of the block. It depends on nothing else that changes, such
            as a generator that blocks share, and leaves nothing behind but its result, with
            tensors on the CPU.
        num: The number of blocks.

    Raises:
        Exception: A block failed. All processes raise the error of the first such block, as one
            process would.
        GenzooError: Another process has ended.
    """
    group = _group.get()
    if group is None:
        return [block(k) for k in range(num)]
    token = _group.set(None)
    try:
        own, failure = _attempted(block, range(group.rank, num, group.size))
    finally:
        _group.reset(token)
    _raise_first(failure, group)
    everyone = _gathered(own, group)
    return [everyone[k % group.size][k // group.size] for k in range(num)]


def on_main(action: Callable[[], T]) -> T | None:
    """Run an action on the main process only, and return its result there; None elsewhere.

    An error that it raises is raised by all processes.
    """
    group = _group.get()
    if group is None:
        return action()
    found, failure = _attempted(lambda _: action(), range(1 if group.rank == 0 else 0))
    _raise_first(failure, group)
    return found[0] if found else None


def from_main(action: Callable[[], T]) -> T:
    """Run an action on the main process only, and return its result on all."""
    group, found = _group.get(), on_main(action)
    result: Any = found if group is None else _gathered(found, group)[0]
    same: T = result
    return same


def main_first(action: Callable[[], T]) -> T:
    """Run an action on all processes, on the main one before the others.

    So the main process downloads and unpacks what the others then find. An error of one process is
    raised by all.
    """
    first = on_main(action)
    group = _group.get()
    if group is None or group.rank == 0:
        found: Any = first
        failure = None
    else:
        made, failure = _attempted(lambda _: action(), range(1))
        found = made[0] if made else None
    if group is not None:
        _raise_first(failure, group)
    result: T = found
    return result


def _attempted(block: Callable[[int], T], numbers: range) -> tuple[list[T], _Failure]:
    """Return the results of blocks, up to the first error, and that error with its number."""
    found: list[T] = []
    for k in numbers:
        try:
            found.append(block(k))
        except Exception as error:  # noqa: BLE001 - every error must reach the other processes
            return found, (k, error)
    return found, None


def _raise_first(failure: _Failure, group: Group) -> None:
    """Raise the error of the lowest number on all processes; nothing if there is none."""
    # If only one process raised, the others would wait for it in their next message.
    sent = None if failure is None else (failure[0], _sendable(failure[1]))
    failures = [found for found in _gathered(sent, group) if found is not None]
    if not failures:
        return
    number, error = min(failures, key=lambda found: found[0])
    own = failure is not None and failure[0] == number
    raise failure[1] if own and failure is not None else error


def _sendable(error: Exception) -> Exception:
    """Return an error that another process can read; its text alone if it is not such a one."""
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - the class may be a plugin's
        again = None
    if isinstance(again, type(error)) and str(again) == str(error):
        return error
    said = str(error) if isinstance(error, GenzooError) else f"{type(error).__name__}: {error}"
    return GenzooError(said)


def _gathered(own: T, group: Group) -> list[T]:
    """Return the values of all processes, by their numbers."""
    found: list[Any] = [None] * group.size
    with _others_named(group):
        torch.distributed.all_gather_object(found, own)
    return found


@contextlib.contextmanager
def _others_named(group: Group) -> Iterator[None]:
    """Map the error of a communication library for a lost process."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in text or "NCCL" in text
        if not lost:
            raise
        raise GenzooError(
            f"Process {group.rank} of {group.size} has lost the others: one of them has ended or "
            "cannot be reached. Its own message says why. Start all of them again."
        ) from error


@contextlib.contextmanager
def _joined(size: int, device: torch.device) -> Iterator[Group]:
    """Join the group of the processes, by Accelerate, and leave it at the end."""
    from accelerate import PartialState
    from accelerate.state import AcceleratorState

    # Its functions have the group as a default argument: if it were imported later, they would
    # keep the group and its threads until after the end of Python.
    importlib.import_module("torch.distributed.nn.functional")
    open_before = torch.distributed.is_initialized()
    made_before = bool(PartialState._shared_state)
    try:
        state = PartialState(cpu=device.type in ("cpu", "mps"))
        if state.num_processes != size:
            raise GenzooError(
                f"The launcher has started {size} processes (WORLD_SIZE), and this one is in a "
                f"group of {state.num_processes}: each would do all the work. Start them with "
                "torchrun, or with accelerate launch --multi_gpu; unset WORLD_SIZE for one "
                "process."
            )
        yield Group(state.process_index, size)
    finally:
        if not open_before and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if not made_before:
            AcceleratorState._reset_state(reset_partial_state=True)
