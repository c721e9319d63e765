"""Chunks of shards in memory: read ahead by a thread, and kept within a budget."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError as FutureTimeoutError
from typing import Any

from genzoo.data.dataset import Dataset
from genzoo.data.streams.shelf import Part, Shelf

logger = logging.getLogger("genzoo")

_SLOW = 30.0
"""The seconds of waiting after which it is said that a shard is slow."""


class Reader:
    """The chunks that a process holds.

    Arguments:
        load: Reads a chunk, in a thread.
        make: Makes rows of what was read, in the thread that asks for them.
        num_rows: The number of rows of each chunk.
        num_bytes: The bytes of each chunk.
        budget: The most bytes of chunks in memory, those that are read ahead included.
        name_of: The name of the shard of a chunk.
    """

    def __init__(
        self,
        load: Callable[[int], Any],
        make: Callable[[int, Any], Dataset],
        num_rows: Sequence[int],
        num_bytes: Sequence[int],
        budget: int,
        name_of: Callable[[int], str],
    ) -> None:
        self._load, self._make = load, make
        self._num_rows, self._num_bytes, self._budget = num_rows, num_bytes, budget
        self._name_of = name_of
        self._held: OrderedDict[int, Part] = OrderedDict()
        self._ahead: dict[int, Future[Any]] = {}
        self._expected: tuple[tuple[int, ...], tuple[int, ...]] = (), ()
        self._queue: deque[tuple[int, Shelf, Future[Any]]] = deque()
        self._is_busy = False
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None

    def expect(self, now: Sequence[int], later: Sequence[int]) -> None:
        """Read chunks ahead, and forget those that are in neither list.

        Arguments:
            now: The chunks whose rows are read now.
            later: The chunks that are read after them.
        """
        if (wanted := (tuple(now), tuple(later))) == self._expected:
            return
        self._expected = wanted
        chunks = list(dict.fromkeys([*now, *later]))
        with self._lock:
            for chunk in [c for c in self._held if c not in chunks]:
                del self._held[chunk]
            for chunk in [c for c in self._ahead if c not in chunks]:
                self._ahead.pop(chunk).cancel()
            for window in (now, later):
                new = [c for c in window if c not in self._held and c not in self._ahead]
                shelf = Shelf({chunk: self._num_rows[chunk] for chunk in new})
                for chunk in dict.fromkeys(new):
                    self._ahead[chunk] = Future()
                    self._queue.append((chunk, shelf, self._ahead[chunk]))
            if self._queue and not self._is_busy:
                self._is_busy = True
                self._pool().submit(self._read_next)

    def chunk(self, number: int) -> Part:
        """Return the rows of a chunk, which is read unless it is held.

        Raises:
            DataError: It cannot be read, or its rows do not fit.
        """
        with self._lock:
            if number in self._held:
                self._held.move_to_end(number)
                return self._held[number]
            ahead = self._ahead.get(number)
        read = self._load(number) if ahead is None else self._waited(number, ahead)
        found = read if isinstance(read, Part) else Part(self._make(number, read))
        with self._lock:
            self._ahead.pop(number, None)
            self._held[number] = found
            self._forget()
        return found

    def _waited(self, number: int, ahead: Future[Any]) -> Any:
        """Return what the thread reads; an error is raised here, where the rows are needed."""
        try:
            while True:
                try:
                    return ahead.result(timeout=_SLOW)
                except FutureTimeoutError:
                    if ahead.done():
                        raise
                    logger.warning(
                        "Waiting for %s: reading it takes more than %g s.",
                        self._name_of(number),
                        _SLOW,
                    )
        except BaseException:
            with self._lock:
                # All are read again if they are asked for again: more may have failed.
                for future in self._ahead.values():
                    future.cancel()
                self._ahead.clear()
                self._expected = (), ()
            raise

    def _read_next(self) -> None:
        """Read the next chunk in the thread, and then ask for one more.

        One at a time, because Python waits at its end for all that the thread was asked for.
        """
        with self._lock:
            waiting = self._queue.popleft() if self._queue else None
            self._is_busy = waiting is not None
        if waiting is None:
            return
        chunk, shelf, future = waiting
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(self._shelved(chunk, shelf))
            # Whatever it is, it is raised where the rows are needed.
            except BaseException as error:  # noqa: BLE001
                future.set_exception(error)
        with contextlib.suppress(RuntimeError):  # Python is at its end.
            self._pool().submit(self._read_next)

    def _shelved(self, number: int, shelf: Shelf) -> Any:
        """Return what is read, its rows side by side with others of its window."""
        found = self._load(number)
        return shelf.put(number, found) if isinstance(found, Dataset) else found

    def _forget(self) -> None:
        """Forget chunks that are not expected, the longest unused first, to keep the budget."""
        expected = {*self._expected[0], *self._expected[1]}
        size = sum(self._num_bytes[c] for c in (*self._held, *self._ahead))
        for chunk in [c for c in list(self._held)[:-1] if c not in expected]:
            if size <= self._budget:
                return
            del self._held[chunk]
            size -= self._num_bytes[chunk]

    def _pool(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="genzoo-shards")
        return self._thread
