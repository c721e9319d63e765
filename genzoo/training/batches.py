"""Equal-sized batches from an endless seeded stream, addressed by number."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from genzoo import seeds
from genzoo.data.dataset import Dataset, RowOrder
from genzoo.data.domains import TwoDomains, of_second
from genzoo.errors import ConfigError
from genzoo.permutation import MAX_LISTED, Permutation
from genzoo.training.pinning import in_background, pinned, pins
from genzoo.training.reading_ahead import read_ahead

_BLOCK = 2**16


@dataclass(frozen=True)
class BatchPartition:
    """The partition of an update's batch into micro-batches × processes slots of equal size.

    Arguments:
        batch_size: Examples per update, over all processes.
        micro_batches: Micro-batches per process.
        num_processes: The number of processes.
        rank: The rank of this process.

    Raises:
        ConfigError: The batch cannot be divided equally.
    """

    batch_size: int
    micro_batches: int
    num_processes: int
    rank: int

    def __post_init__(self) -> None:
        slots = self.micro_batches * self.num_processes
        # Equal sizes, so that the mean of the micro-batches' means is the mean of the batch.
        if self.batch_size % slots:
            raise ConfigError(
                f"batch_size {self.batch_size} cannot be divided into {self.micro_batches} "
                f"micro-batches × {self.num_processes} processes. Use a multiple of {slots}."
            )

    def slots(self) -> list[int]:
        """Return this process's slots, micro-batch × processes + rank."""
        return [micro * self.num_processes + self.rank for micro in range(self.micro_batches)]

    def rows(self, update: int, slot: int) -> range:
        """Return the positions of a slot of an update in the endless stream."""
        # They depend on the number of the update only, so a resumed run needs no saved position.
        size = self.batch_size // (self.micro_batches * self.num_processes)
        first = update * self.batch_size + slot * size
        return range(first, first + size)


class Stream:
    """The endless stream of row indices: one seeded permutation of the rows after another.

    Its memory does not grow with the number of rows.

    Arguments:
        num_rows: The number of rows.
        seed: The seed of the permutations.
    """

    def __init__(self, num_rows: int, seed: int) -> None:
        self.num_rows, self._seed = num_rows, seed
        # A permutation of many rows is not listed, but computed in blocks.
        self._block = num_rows if num_rows <= MAX_LISTED else _BLOCK

        @lru_cache(maxsize=2)
        def order(epoch: int, block: int) -> Tensor:
            derived, first = seeds.derive_seed("order", seed, epoch), block * self._block
            return _order(num_rows, derived, first, min(first + self._block, num_rows))

        self._order = order

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the same stream for a worker process."""
        return Stream, (self.num_rows, self._seed)

    def indices(self, rows: range) -> Tensor:
        """Return the row indices at the given positions."""
        first, last = rows.start, rows.stop
        taken = self._in_block(first, last)
        if len(taken) == last - first:
            return taken
        parts = [taken]
        while (first := first + len(taken)) < last:
            taken = self._in_block(first, last)
            parts.append(taken)
        return torch.cat(parts)

    def _in_block(self, first: int, last: int) -> Tensor:
        """Return the row indices at the positions from ``first`` that are in the same block."""
        epoch, place = divmod(first, self.num_rows)
        block, offset = divmod(place, self._block)
        return self._order(epoch, block)[offset : offset + last - first]


def _order(num_rows: int, seed: int, first: int, last: int) -> Tensor:
    """Return the places from ``first`` up to ``last`` of a permutation."""
    if num_rows <= MAX_LISTED:
        # The order of all recipes so far, whose figures depend on it.
        return torch.randperm(num_rows, generator=seeds.generator(seed))
    return Permutation(num_rows, seed)(torch.arange(first, last))


@dataclass(frozen=True)
class _Micro(TorchDataset[Any]):
    """Batches by (update, slot), so that worker processes can load them ahead."""

    dataset: Dataset
    stream: RowOrder
    shares: BatchPartition
    seeds: seeds.Derived

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        update, slot = key
        generator = None
        if self.dataset.draws:
            # By slot, so a row's crop or caption does not depend on the process that reads it.
            generator = seeds.generator(self.seeds.seed(update, slot))
        return self.dataset.batch(self.stream.indices(self.shares.rows(update, slot)), generator)


@dataclass(frozen=True)
class _Both(TorchDataset[Any]):
    """Batches of two domains, each from its own stream."""

    x: _Micro
    y: _Micro

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        return {**self.x[key], **of_second(self.y[key])}


def _micro(dataset: Dataset, shares: BatchPartition, seed: int) -> _Micro | _Both:
    if isinstance(dataset, TwoDomains):
        second = seeds.derive_seed("second domain", seed)
        return _Both(_stream(dataset.x, shares, seed), _stream(dataset.y, shares, second))
    return _stream(dataset, shares, seed)


def _stream(dataset: Dataset, shares: BatchPartition, seed: int) -> _Micro:
    # What is to be said about the processes is said by one of them.
    num_processes = shares.num_processes if shares.rank == 0 else 1
    order = dataset.order(seed, num_processes) or Stream(len(dataset), seed)
    return _Micro(dataset, order, shares, seeds.Derived("data", seed))


def batches(
    dataset: Dataset,
    shares: BatchPartition,
    *,
    seed: int,
    first: int,
    last: int,
    num_workers: int = 0,
    device: torch.device | None = None,
) -> Generator[list[dict[str, Any]], None, None]:
    """Yield this process's micro-batches of each update from ``first`` up to ``last``.

    Arguments:
        dataset: The rows.
        shares: The partition of an update's batch.
        seed: The seed of the order and of random data.
        first: The first update.
        last: The one after the last.
        num_workers: The number of processes that read ahead; 0 reads here, or in a thread of this
            process if the batches are put into page-locked memory.
        device: The device that they are for, which decides whether they are, see `pins`.
    """
    micro = _micro(dataset, shares, seed)
    slots = shares.slots()

    def keys() -> Iterator[tuple[int, int]]:
        return ((update, slot) for update in range(first, last) for slot in slots)

    pin = device is not None and pins(device)
    with contextlib.ExitStack() as held:
        if num_workers:
            loader = held.enter_context(
                contextlib.closing(read_ahead(micro, keys, num_workers, pin=pin))
            )
        elif pin:
            read = (micro[key] for key in keys())
            loader = held.enter_context(contextlib.closing(in_background(read, pinned)))
        else:
            loader = (micro[key] for key in keys())
        for _ in range(first, last):
            yield [next(loader) for _ in slots]


def to_device(
    batch: dict[str, Any], device: torch.device, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Move the tensors of a batch to a device; floating-point ones get the model's dtype."""

    def moved(value: Tensor) -> Tensor:
        kind = dtype if value.is_floating_point() else value.dtype
        # Not at once: another dtype would be made on the CPU, in memory that is not page-locked.
        return value.to(device, non_blocking=True).to(kind)

    return {key: moved(v) if isinstance(v, Tensor) else v for key, v in batch.items()}
