"""Rows of shards, read as they are needed."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.rows import take
from genzoo.data.dataset import ArrayDataset, Dataset, mean_of_rows
from genzoo.data.streams.config import StreamConfig
from genzoo.data.streams.forms import Form, Placed
from genzoo.data.streams.order import Chunks, WindowedOrder
from genzoo.data.streams.reader import Reader
from genzoo.data.streams.shards import Shard, identity_of
from genzoo.errors import DataError, counted


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
        check_window(self.places, shards, config)
        self._own: tuple[int, Reader] | None = None

    def __len__(self) -> int:
        """Return the number of rows of all shards."""
        return int(self.chunks.rows.sum())

    @property
    def draws(self) -> bool:
        """Whether reading rows draws random numbers: never."""
        return False

    @property
    def num_first(self) -> int:
        """The number of rows of the first shards, at most those of a window."""
        return int(self.chunks.rows[: first_chunks(self.shards, self.config)].sum())

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

    def order(self, seed: int) -> WindowedOrder:
        """Return the order in which training reads the rows."""
        return self._ordered(self.chunks, seed, self.expect)

    def draw(self, num: int, seed: int) -> Tensor:
        """Return the indices of random rows of the first shards, of as many as needed."""
        ends = self.chunks.rows.cumsum(0)
        enough = int(torch.searchsorted(ends, min(num, len(self)))) + 1
        first = max(enough, first_chunks(self.shards, self.config))
        some = Chunks(
            self.chunks.rows[:first], self.chunks.num_bytes[:first], self.chunks.shard[:first]
        )
        return self._ordered(some, seed, None).indices(range(num))

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
            return self._reader.chunk(0).batch(index)
        number = torch.searchsorted(self._begins, index, right=True) - 1
        order = number.argsort(stable=True)
        used, counts = torch.unique_consecutive(number[order], return_counts=True)
        local = torch.split((index - self._begins[number])[order], counts.tolist())
        parts = [self._reader.chunk(chunk) for chunk in used.tolist()]
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        if (found := _of_arrays(parts, local, back)) is not None:
            return found
        batches = [
            self._rows_of(chunk, part, rows)
            for chunk, part, rows in zip(used.tolist(), parts, local, strict=True)
        ]
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


def first_chunks(shards: Sequence[Shard], config: StreamConfig) -> int:
    """Return the number of first chunks that decide: of the first shards, at most a window."""
    sizes = [size for shard in shards[: config.first_shards] for size in shard.index.num_bytes]
    number, held = 0, 0
    for size in sizes:
        held += size
        if number and held > config.window_bytes // 2:
            break
        number += 1
    return number


def check_window(
    places: Sequence[tuple[int, int]], shards: Sequence[Shard], config: StreamConfig
) -> None:
    """Refuse chunks that are larger than a window.

    Raises:
        DataError: One is.
    """
    shard, chunk = max(places, key=lambda at: shards[at[0]].index.num_bytes[at[1]])
    size = shards[shard].index.num_bytes[chunk]
    if size > config.window_bytes // 2:
        rows = counted(shards[shard].index.rows[chunk], "row")
        raise DataError(
            f"The shard {shards[shard].name!r} is read in parts of {rows}, {size:,} bytes, and a "
            f"window has {config.window_bytes // 2:,}. Give --data.window-bytes {2 * size}, or "
            "write it with smaller row groups."
        )


def _range(shard: Shard) -> range:
    return range(len(shard.index.rows))


def _of_arrays(
    parts: Sequence[Dataset], local: Sequence[Tensor], back: Tensor
) -> dict[str, Any] | None:
    """Return the rows of parts that are stored and converted alike, converted at once."""
    arrays = [part for part in parts if isinstance(part, ArrayDataset)]
    if len(arrays) < len(parts):
        return None
    first = arrays[0]
    plain = isinstance(first.convert, Conversion) and all(
        one.convert == first.convert and one.x.dtype == first.x.dtype for one in arrays
    )
    if not plain:
        return None
    stored = torch.cat([take(p.x, rows) for p, rows in zip(arrays, local, strict=True)])
    found: dict[str, Any] = {"x": first.convert(take(stored, back))}
    rest = [
        {
            **{name: values[rows] for name, values in part.columns.items()},
            **({} if part.label is None else {"label": part.label[rows]}),
            **({} if part.text is None else {"text": [part.text[i] for i in rows.tolist()]}),
        }
        for part, rows in zip(arrays, local, strict=True)
    ]
    return found | {name: _joined([one[name] for one in rest], back) for name in rest[0]}


def _joined(parts: Sequence[Any], back: Tensor) -> Any:
    """Return values of several parts in the order of the batch."""
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts)).index_select(0, back)
    values = [value for part in parts for value in part]
    return [values[i] for i in back.tolist()]
