"""The order of the rows of shards, as a function of the seed and the position."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds

Expect = Callable[[Sequence[int], Sequence[int]], None]
"""Called with the chunks that are read now, and with those that are read next."""


@dataclass(frozen=True)
class Chunks:
    """What is read at once from shards, such as the row groups of Parquet files.

    Arguments:
        rows: The number of rows of each, (C,).
        num_bytes: The bytes of each in memory, (C,).
        shard: The number of the shard of each, (C,), ascending.
    """

    rows: Tensor
    num_bytes: Tensor
    shard: Tensor

    def at(self, numbers: Tensor) -> Chunks:
        """Return some of the chunks; their shards are numbered anew."""
        shard = torch.unique(self.shard[numbers], return_inverse=True)[1]
        return Chunks(self.rows[numbers], self.num_bytes[numbers], shard)

    @property
    def first_rows(self) -> Tensor:
        """The index of the first row of each among the rows of all, (C,)."""
        return self.rows.cumsum(0) - self.rows


@dataclass(frozen=True)
class _Window:
    """Chunks whose rows are permuted together.

    Arguments:
        first: The place in the epoch of its first row.
        chunks: The numbers of its chunks.
        number: Its number in the epoch.
    """

    first: int
    chunks: Tensor
    number: int


class WindowedOrder:
    """The endless order of the rows of shards: one epoch after another.

    In each epoch the shards are shuffled and taken ``shards_at_once`` at a time. The chunks of
    these are shuffled, and consecutive chunks up to ``window_bytes`` are a window, whose rows are
    permuted. All of this is a function of the seed and the epoch. So the row at a position needs
    no state, and does not depend on who asks for it.

    Arguments:
        chunks: The chunks of all shards.
        seed: The seed.
        window_bytes: The most bytes of a window; a larger chunk is a window by itself.
        shards_at_once: The number of shards whose chunks are mixed.
        expect: Is told which chunks are read now and next.

    >>> chunks = Chunks(torch.tensor([2, 2]), torch.tensor([8, 8]), torch.tensor([0, 1]))
    >>> order = WindowedOrder(chunks, 0, window_bytes=8, shards_at_once=1)
    >>> sorted(order.indices(range(4)).tolist())
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        chunks: Chunks,
        seed: int,
        *,
        window_bytes: int,
        shards_at_once: int,
        expect: Expect | None = None,
    ) -> None:
        self.chunks, self.num_rows = chunks, int(chunks.rows.sum())
        self._seed, self._expect = seed, expect
        self._options = {"window_bytes": window_bytes, "shards_at_once": shards_at_once}
        self._first_rows = chunks.first_rows

        @lru_cache(maxsize=2)
        def epoch(number: int) -> list[_Window]:
            return self._windows(number)

        @lru_cache(maxsize=3)
        def rows(number: int, window: int) -> Tensor:
            return self._rows(number, epoch(number)[window])

        self._epoch, self._rows_of = epoch, rows

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the same order for a worker process."""
        return _again, (self.chunks, self._seed, self._options, self._expect)

    def indices(self, positions: range) -> Tensor:
        """Return the row indices at positions of the endless order, (B,) int64."""
        windows = self._touched(positions)
        if self._expect is not None:
            now = [chunk for epoch, w in windows for chunk in self._chunks(epoch, w.number)]
            self._expect(now, self._after(*windows[-1]) if len(windows) == 1 else [])
        parts = []
        for epoch, window in windows:
            begin = epoch * self.num_rows + window.first
            found = self._rows_of(epoch, window.number)
            last = positions.stop - begin
            parts.append(found[max(0, positions.start - begin) : last])
        return torch.cat(parts)

    def _touched(self, positions: range) -> list[tuple[int, _Window]]:
        """Return the windows of positions, each with its epoch."""
        found, at = [], positions.start
        while True:
            epoch, place = divmod(at, self.num_rows)
            windows = self._epoch(epoch)
            window = windows[bisect.bisect(windows, place, key=lambda w: w.first) - 1]
            found.append((epoch, window))
            ends = (w.first for w in windows[window.number + 1 : window.number + 2])
            at = epoch * self.num_rows + next(ends, self.num_rows)
            if at >= positions.stop:
                return found

    def _chunks(self, epoch: int, window: int) -> list[int]:
        found: list[int] = self._epoch(epoch)[window].chunks.tolist()
        return found

    def _after(self, epoch: int, window: _Window) -> list[int]:
        """Return the chunks of the window that follows."""
        if window.number + 1 < len(self._epoch(epoch)):
            return self._chunks(epoch, window.number + 1)
        return self._chunks(epoch + 1, 0)

    def _windows(self, epoch: int) -> list[_Window]:
        """Return the windows of an epoch."""
        sequence = self._sequence(epoch)
        rows, num_bytes = self.chunks.rows[sequence], self.chunks.num_bytes[sequence].tolist()
        first = (rows.cumsum(0) - rows).tolist()
        begins, held = [0], 0
        for place, size in enumerate(num_bytes):
            if held and held + size > self._options["window_bytes"]:
                begins.append(place)
                held = 0
            held += size
        ends = [*begins[1:], len(sequence)]
        return [
            _Window(first[begin], sequence[begin:end], number)
            for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
        ]

    def _sequence(self, epoch: int) -> Tensor:
        """Return the numbers of the chunks in the order of an epoch."""
        generator = seeds.generator(seeds.derive_seed("shards", self._seed, epoch))
        num_shards = int(self.chunks.shard[-1]) + 1
        sizes = torch.bincount(self.chunks.shard, minlength=num_shards)
        begins = sizes.cumsum(0) - sizes
        parts = []
        shuffled = torch.randperm(num_shards, generator=generator)
        for shards in torch.split(shuffled, self._options["shards_at_once"]):
            mixed = torch.cat(
                [torch.arange(int(begins[s]), int(begins[s] + sizes[s])) for s in shards.tolist()]
            )
            parts.append(mixed[torch.randperm(len(mixed), generator=generator)])
        return torch.cat(parts)

    def _rows(self, epoch: int, window: _Window) -> Tensor:
        """Return the row indices of a window, permuted."""
        rows = self.chunks.rows[window.chunks]
        begins = (self._first_rows[window.chunks] - (rows.cumsum(0) - rows)).repeat_interleave(
            rows
        )
        found = begins + torch.arange(len(begins))
        derived = seeds.derive_seed("window", self._seed, epoch, window.number)
        return found[torch.randperm(len(found), generator=seeds.generator(derived))]


def _again(
    chunks: Chunks, seed: int, options: dict[str, int], expect: Expect | None
) -> WindowedOrder:
    return WindowedOrder(chunks, seed, **options, expect=expect)
