"""Rows of shards, read as they are needed."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.data.dataset import Dataset, mean_of_rows
from genzoo.data.streams.config import StreamConfig
from genzoo.data.streams.forms import Form, Placed
from genzoo.data.streams.order import Chunks, WindowedOrder
from genzoo.data.streams.reader import Reader
from genzoo.data.streams.shards import Shard, identity_of
from genzoo.data.streams.shelf import shelf_of
from genzoo.errors import DataError, counted

logger = logging.getLogger("genzoo")


class StreamedDataset(Dataset):
    """Rows of shards, read as they are needed; a process holds those of two windows.

    Training reads them in an order of windows, see `genzoo.data.streams.order`. Draws of some rows
    and the mean are those of the first shards.

    Arguments:
        shards: The shards, each with at least one row.
        form: How their chunks become rows.
        config: The budgets.
        name: The dataset's name.

    Raises:
        DataError: A chunk is larger than a window.
    """

    def __init__(
        self, shards: Sequence[Shard], form: Form, config: StreamConfig, name: str
    ) -> None:
        self.shards, self.form, self.config, self.name = shards, form, config, name
        self.info, self.notes = form.info, form.notes
        self.places = [(s, c) for s, shard in enumerate(shards) for c in _range(shard)]
        self.chunks = chunks_of(shards)
        self._begins = self.chunks.first_rows
        check_window(shards, config)
        self._own: tuple[int, Reader] | None = None

    def __len__(self) -> int:
        """Return the number of rows of all shards."""
        return int(self.chunks.rows.sum())

    @property
    def draws(self) -> bool:
        """Whether reading rows draws random numbers: never."""
        return False

    def first_rows(self) -> Tensor:
        """Return the rows of the first shards, as many as fit."""
        return self._rows_at(first_chunks(self.chunks, self.config))

    def needs_workers(self, num_rows: int) -> bool:
        """Whether rows are decoded as they are read."""
        return self.form.decodes

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the order of the rows."""
        return {
            "shards": identity_of(self.shards),
            "window_bytes": self.config.window_bytes,
            "shards_at_once": self.config.shards_at_once,
        }

    def order(self, seed: int, num_processes: int = 1) -> WindowedOrder:
        """Return the order in which training reads the rows."""
        if len(self.shards) < num_processes:
            logger.warning(
                "%s has %s for %d processes: each reads every shard and uses its own rows.",
                self.name,
                counted(len(self.shards), "shard"),
                num_processes,
            )
        return self._ordered(self.chunks, seed, self.expect)

    def draw(self, num: int, seed: int) -> Tensor:
        """Return the indices of random rows of the first shards, of as many as needed."""
        chosen = first_chunks(self.chunks, self.config)
        rest = torch.ones(len(self.chunks.rows), dtype=torch.bool)
        rest[chosen] = False
        all_of_them = torch.cat([chosen, rest.nonzero().flatten()])
        ends = self.chunks.rows[all_of_them].cumsum(0)
        enough = int(torch.searchsorted(ends, min(num, len(self)))) + 1
        some = all_of_them[: max(enough, len(chosen))].sort().values
        order = self._ordered(self.chunks.at(some), seed, None)
        return self._rows_at(some)[order.indices(range(num))]

    def _rows_at(self, chunks: Tensor) -> Tensor:
        """Return the indices of the rows of chunks."""
        begins, rows = self._begins[chunks].tolist(), self.chunks.rows[chunks].tolist()
        return torch.cat([torch.arange(b, b + n) for b, n in zip(begins, rows, strict=True)])

    def expect(self, now: Sequence[int], later: Sequence[int]) -> None:
        """Read chunks ahead."""
        self._reader.expect(now, later)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``.

        Raises:
            DataError: A shard is missing, damaged or another one than before, or a row is not in
                the spaces of the first shards; the message names the shard and the row.
        """
        index = torch.as_tensor(indices, dtype=torch.long)
        if not len(index):
            return self._reader.chunk(0).rows.batch(index)
        number = torch.searchsorted(self._begins, index, right=True) - 1
        used, which = torch.unique(number, return_inverse=True)
        parts = [self._reader.chunk(chunk) for chunk in used.tolist()]
        local = index - self._begins[number]
        if (shelf := shelf_of(parts)) is not None:
            return shelf.batch(local + torch.tensor([part.begin for part in parts])[which])
        order = which.argsort(stable=True)
        rows = torch.split(local[order], torch.bincount(which).tolist())
        batches = [
            self._rows_of(chunk, part.rows, some)
            for chunk, part, some in zip(used.tolist(), parts, rows, strict=True)
        ]
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return {name: _joined([batch[name] for batch in batches], back) for name in batches[0]}

    def mean(self) -> Tensor | None:
        """Return the mean row of the first shards; None for categories."""
        return mean_of_rows(self) if self.info["x"].dtype.is_floating_point else None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the rows out of what is sent to another process."""
        return {**self.__dict__, "_own": None}

    @property
    def _reader(self) -> Reader:
        """The reader of this process: threads and locks are not copied into another one."""
        if self._own is None or self._own[0] != os.getpid():
            reader = Reader(
                self._read,
                self._made,
                self.chunks.rows.tolist(),
                self.chunks.num_bytes.tolist(),
                self.config.window_bytes,
                lambda chunk: self.shards[self.places[chunk][0]].name,
            )
            self._own = os.getpid(), reader
        return self._own[1]

    def _ordered(self, chunks: Chunks, seed: int, expect: Any) -> WindowedOrder:
        return WindowedOrder(
            chunks,
            seed,
            window_bytes=self.config.window_bytes // 2,
            shards_at_once=self.config.shards_at_once,
            expect=expect,
        )

    def _read(self, number: int) -> Any:
        shard, chunk = self.places[number]
        found = self.shards[shard].read(chunk)
        return found if self.form.decodes else self._rows_in(number, found)

    def _made(self, number: int, found: Any) -> Dataset:
        """Return the rows of what was read; headers of images are read in the thread that asks."""
        return found if isinstance(found, Dataset) else self._rows_in(number, found)

    def _rows_in(self, number: int, found: Any) -> Dataset:
        name = self.shards[self.places[number][0]].name
        rows: Dataset = self._named(number, functools.partial(self.form.rows, found, name))
        if len(rows) != int(self.chunks.rows[number]):
            raise DataError(
                f"The shard {name!r} has other rows than when they were counted. Restore it and "
                "resume, or begin anew."
            )
        return rows

    def _rows_of(self, number: int, part: Dataset, rows: Tensor) -> dict[str, Any]:
        found: dict[str, Any] = self._named(number, functools.partial(part.batch, rows))
        return found

    def _named(self, number: int, call: Any) -> Any:
        """Return what ``call`` returns; its error has the number of the row in the shard."""
        shard, chunk = self.places[number]
        try:
            return call()
        except DataError as error:
            first = sum(self.shards[shard].index.rows[:chunk])
            raise Placed(self.shards[shard].name, first).error(error) from error


def chunks_of(shards: Sequence[Shard]) -> Chunks:
    """Return the chunks of shards."""
    return Chunks(
        torch.tensor([rows for shard in shards for rows in shard.index.rows]),
        torch.tensor([size for shard in shards for size in shard.index.num_bytes]),
        torch.tensor([number for number, shard in enumerate(shards) for _ in shard.index.rows]),
    )


def first_chunks(chunks: Chunks, config: StreamConfig) -> Tensor:
    """Return the numbers of the chunks that decide: all of the first shards.

    If they take more than an eighth of the memory for rows, they are evenly spaced parts.
    """
    num = int((chunks.shard < config.first_shards).sum())
    size, most = int(chunks.num_bytes[:num].sum()), config.window_bytes // 8
    if size <= most:
        return torch.arange(num)
    # By the largest, so that they never take more.
    kept = max(1, most // int(chunks.num_bytes[:num].max()))
    found: Tensor = torch.linspace(0, num - 1, min(kept, num)).round().long()
    return found


def check_window(shards: Sequence[Shard], config: StreamConfig) -> None:
    """Refuse chunks that are larger than a window.

    Raises:
        DataError: One is.
    """
    shard = max(shards, key=lambda one: max(one.index.num_bytes))
    size = max(shard.index.num_bytes)
    if size > config.window_bytes // 2:
        rows = counted(shard.index.rows[shard.index.num_bytes.index(size)], "row")
        raise DataError(
            f"The shard {shard.name!r} is read in parts of {rows}, {size:,} bytes, and a "
            f"window has {config.window_bytes // 2:,}. Give --data.window-bytes {2 * size}, or "
            "write it with smaller row groups."
        )


def _range(shard: Shard) -> range:
    return range(len(shard.index.rows))


def _joined(parts: Sequence[Any], back: Tensor) -> Any:
    """Return values of several parts in the order of the batch."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts)).index_select(0, back)
    values = [value for part in parts for value in part]
    return [values[i] for i in back.tolist()]
