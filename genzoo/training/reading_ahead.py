"""Batches that worker processes read ahead of training, robust to the end of a worker."""

from __future__ import annotations

import contextlib
import itertools
import logging
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset as TorchDataset

logger = logging.getLogger("genzoo")

Key = tuple[int, int]
"""The update and the slot of a batch."""


def read_ahead(
    rows: TorchDataset[Any],
    keys: Callable[[], Iterator[Key]],
    num_workers: int,
    *,
    pin: bool = False,
) -> Generator[dict[str, Any], None, None]:
    """Yield the batches of keys in order, read by worker processes.

    If a worker ends or the rows raise an error, the rest is read in this process. An error of the
    rows is so raised as it is, and after a signal to all processes the update in progress is still
    made and saved.

    Arguments:
        rows: The batches by key.
        keys: A function that returns the keys; it is called twice.
        num_workers: The number of processes, at least 1.
        pin: Whether a thread puts their batches into page-locked memory.
    """
    num_read = 0
    with contextlib.closing(_by_workers(rows, keys(), num_workers, pin=pin)) as batches:
        while (batch := _next_or_none(batches)) is not None:
            yield batch
            num_read += 1
    remaining = itertools.islice(keys(), num_read, None)
    for number, key in enumerate(remaining):
        yield rows[key]
        if number == 0:
            logger.warning("A worker process has ended; this process reads the rows.")


def _next_or_none(batches: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the next batch; None at the end, after an error, or if a worker has ended."""
    try:
        return next(batches, None)
    except Exception as error:  # noqa: BLE001 - rows may raise anything, and will do so again
        # Frames that refer to each other would keep the loader until some later collection, which
        # closes its pipes before it can end its workers, and then waits five seconds for them.
        traceback.clear_frames(error.__traceback__)
        return None


def _by_workers(
    rows: TorchDataset[Any], keys: Iterator[Key], num_workers: int, *, pin: bool
) -> Generator[dict[str, Any], None, None]:
    loader = DataLoader(
        rows,
        batch_size=None,
        sampler=keys,
        num_workers=num_workers,
        pin_memory=pin,
        worker_init_fn=_leave_interrupts,
        # Torch would draw a seed for the workers from the default generator.
        generator=torch.Generator(),
    )
    batches = iter(loader)
    with _no_errors_between_batches():
        try:
            yield from batches
        finally:
            del batches  # Its workers end here, while the end of one raises nothing.


def _leave_interrupts(worker: int) -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the training process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _no_errors_between_batches() -> Iterator[None]:
    """Set torch's handler of the end of a worker aside, which raises in the midst of an update.

    Without it, the next batch raises the error, at most five seconds later.
    """
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if in_main and hasattr(signal, "SIGCHLD") else None
    if not getattr(handler, "__module__", "").startswith("torch."):
        yield
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
