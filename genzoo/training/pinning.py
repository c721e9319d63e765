"""Batches in page-locked memory, which a GPU copies without making the program wait."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

_AHEAD = 2
_PATIENCE = 0.1
T = TypeVar("T")


def pins(device: torch.device) -> bool:
    """Whether batches for a device are put into page-locked memory: only for a CUDA device."""
    return device.type == "cuda"


def pinned(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch with its tensors in page-locked memory; those on a device stay there."""
    return {name: _pinned(value) for name, value in batch.items()}


def _pinned(value: Any) -> Any:
    here = isinstance(value, Tensor) and value.device.type == "cpu"
    return value.pin_memory() if here else value


def in_background(
    items: Iterator[T], prepare: Callable[[T], T], *, ahead: int = _AHEAD
) -> Generator[T, None, None]:
    """Yield items that a thread takes from an iterator and prepares, a few ahead.

    So the next batch is ready when the device has finished with the last one. An error of the
    iterator is raised here, after the items before it.

    Arguments:
        items: The items.
        prepare: What is done with each in the thread.
        ahead: The number of items that are kept ready.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(ahead)
    left = threading.Event()

    def put(item: Any, error: BaseException | None) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                ready.put((item, error), timeout=_PATIENCE)
                return

    def work() -> None:
        try:
            for item in items:
                put(prepare(item), None)
                if left.is_set():
                    return
            error: BaseException = StopIteration()
        except BaseException as raised:  # noqa: BLE001 - it is raised where the items are taken
            error = raised
        put(None, error)

    thread = threading.Thread(target=work, name="genzoo-pinning", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        left.set()
        thread.join()
