"""Many samples in a folder: files of whole blocks, drawn by any number of processes, resumable.

A folder holds ``samples-00000-of-00010.npz`` and so on, each with an array ``x``, and an index,
``samples.json``, which says how they are drawn. A file is written completely or not at all, so an
interrupted call continues with the files that are missing.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from torch import Tensor

from genzoo import process_group, threads
from genzoo.config import positive
from genzoo.errors import DataError, OutputExistsError, RunningError, counted
from genzoo.files import (
    atomic_file,
    check_no_link,
    disk_full_named,
    remove,
    replace_text,
)
from genzoo.model import Model, check_loaded
from genzoo.model_files import LOCK
from genzoo.progress import hidden, progress_bar
from genzoo.sample_index import INDEX, demand_same, request_of, stored_index
from genzoo.sampler import Sampler
from genzoo.sampling import Blocks, Request, own_sampler
from genzoo.spaces import Space

_VALUES = 2**23
"""The most values of a file by default: 32 MB of float32."""
_FILES = 64
"""The number of files by default, which as many processes can divide; more if they are large."""
_WRITING = ".writing-*"
_UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def sample_to_folder(
    model: Model,
    num: int,
    folder: str | os.PathLike[str],
    *,
    condition: Any = None,
    sampler: Sampler | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    shard_size: int | None = None,
) -> dict[str, Any]:
    """Draw ``num`` samples into a folder, file by file, in memory that does not grow with ``num``.

    They are those of `GenerativeModel.sample` with the same seed and block size. An interrupted
    call continues if it is made again; without a seed it takes that of the folder. Inside of
    `divided_work` each process draws and writes some of the files.

    Arguments:
        model: The model.
        num: The number of samples.
        folder: The folder; a new or an empty one, or that of an interrupted call.
        condition: As for `GenerativeModel.sample`; k rows of a condition may also stand for
            ``num / k`` successive samples each.
        sampler: The sampler; the model's default sampler if None.
        seed: The seed; None uses that of the folder, or a fresh one.
        batch_size: Samples per block; as for `GenerativeModel.sample` if None.
        shard_size: Samples per file, rounded up to whole blocks. By default there are about 64
            files, or as many as it takes for eight million values in each.

    Returns:
        What the index says, such as ``seed``, ``batch_size`` and ``shards``.

    Raises:
        OutputExistsError: The folder holds other files, or samples of another request.
        DataError: A file of the folder is damaged.
        RunningError: Another process writes samples into the folder.
        DiskFullError: No space is left; what was written stays, and the same call continues.
        GenzooError: As for `GenerativeModel.sample`.
    """
    check_loaded(model, "sample_to_folder")
    request = Request(num, condition, sampler or own_sampler(model), None, batch_size)
    return write_shards(model, request, Path(folder), seed, shard_size)


def write_shards(
    model: Model,
    request: Request,
    folder: Path,
    seed: int | None,
    shard_size: int | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Draw samples into a folder; see `sample_to_folder`.

    Arguments:
        model: The model.
        request: The request.
        folder: The folder.
        seed: The seed; None uses that of the folder, or a fresh one.
        shard_size: Samples per file.
        given: The texts that were given for each condition, for readers of the index.
    """
    blocks = Blocks(model, request, seed, runs=True)
    per_file = _samples_per_file(blocks, shard_size)
    texts = {name: list(values) for name, values in (given or {}).items()}
    wanted = {**request_of(blocks, per_file), "given": texts}
    with _locked(folder):
        opened = process_group.from_main(
            lambda: _open(folder, wanted, model.event, fresh=seed is None)
        )
        blocks.seed = opened.index["seed"]
        with threads.limited(opened.index["threads"]):
            _draw_missing(blocks, folder, opened)
    return opened.index


def name_of(number: int, num: int) -> str:
    """Return the name of a file.

    >>> name_of(3, 64)
    'samples-00003-of-00064.npz'
    """
    return f"samples-{number:05d}-of-{num:05d}.npz"


def smallest(event: Space, x: Tensor) -> Tensor:
    """Return samples as bytes if their values are whole numbers that fit, as zeros and ones."""
    if not x.is_floating_point():
        return x
    if not event.is_discrete:
        return x.float()
    small = x.to(torch.uint8)
    return small if torch.equal(small.to(x.dtype), x) else x.float()


@dataclass(frozen=True)
class _Opened:
    """A folder that samples are drawn into.

    Arguments:
        index: What its index says.
        missing: The numbers of the files that are not there yet.
    """

    index: dict[str, Any]
    missing: list[int]


def _samples_per_file(blocks: Blocks, shard_size: int | None) -> int:
    """Return the number of samples per file, a multiple of the block size."""
    if shard_size is not None:
        return -(-positive("shard_size", shard_size) // blocks.size) * blocks.size
    values = blocks.size * max(1, blocks.model.event.num_dims)
    return max(1, min(_VALUES // values, -(-blocks.num // _FILES))) * blocks.size


def _draw_missing(blocks: Blocks, folder: Path, opened: _Opened) -> None:
    """Draw the files that are missing; in each round, each process one."""
    index, num = opened.index, blocks.request.num
    size, together = index["shard_size"], process_group.num_processes()
    there = num - sum(_rows(number, size, num) for number in opened.missing)
    with progress_bar("Sampling", "sample", num) as shown, hidden():
        shown.update(there)
        # In rounds, so that all learn of an error soon, and none waits long for the others.
        for first in range(0, len(opened.missing), together):
            part = opened.missing[first : first + together]
            write = functools.partial(_write, blocks, folder, index, part)
            process_group.map_blocks(write, len(part))
            shown.update(sum(_rows(number, size, num) for number in part))


def _rows(number: int, size: int, num: int) -> int:
    """Return the number of samples in a file."""
    return min(size, num - number * size)


def _write(
    blocks: Blocks, folder: Path, index: Mapping[str, Any], numbers: Sequence[int], i: int
) -> None:
    """Draw and write the file ``numbers[i]``."""
    number, num = numbers[i], blocks.request.num
    per_file = index["shard_size"] // blocks.size
    inside = range(number * per_file, min((number + 1) * per_file, blocks.num))
    with blocks.drawing(len(inside)) as tell:
        x = torch.cat([blocks.block(k, tell).cpu() for k in inside])
    rows = x[: _rows(number, index["shard_size"], num)]
    with atomic_file(folder / name_of(number, index["shards"])) as temporary:
        np.savez(temporary, x=smallest(blocks.model.event, rows).numpy())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create the folder, and lock it for the main process; the system releases a dead one's."""
    lock = filelock.FileLock(folder / LOCK.name, timeout=0)

    def acquire() -> None:
        _check_new(folder)
        with disk_full_named(folder):
            folder.mkdir(parents=True, exist_ok=True)
            check_no_link(folder / LOCK.name)
            try:
                lock.acquire()
            except filelock.Timeout as error:  # It is an OSError too.
                raise RunningError(
                    f"Another process is writing samples into {str(folder)!r}. Wait until it "
                    "ends, stop it, or choose another folder."
                ) from error
            except NotImplementedError:  # Some network file systems have no locks.
                pass

    process_group.on_main(acquire)
    try:
        yield
    finally:
        lock.release()


def _check_new(folder: Path) -> None:
    """Raise OutputExistsError if a path is a file, or a folder with files and without an index."""
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{str(folder)!r} is a file. Choose a folder.")
    if not folder.exists() or (folder / INDEX).exists():
        return
    others = [path.name for path in folder.iterdir() if path.name != LOCK.name]
    others = sorted(name for name in others if not fnmatch(name, _WRITING))
    if others:
        raise OutputExistsError(
            f"{str(folder)!r} has no {INDEX}, and holds {counted(len(others), 'other file')}, "
            f"such as {others[0]!r}. Choose a new or an empty folder."
        )


def _open(folder: Path, wanted: dict[str, Any], event: Space, *, fresh: bool) -> _Opened:
    """Return the index of a folder, which is written if there is none, and what is missing.

    Arguments:
        folder: The folder, which is locked.
        wanted: What the index should say.
        event: The space of the samples.
        fresh: Whether any seed will do.
    """
    path = folder / INDEX
    check_no_link(path)
    index = json.loads(json.dumps(wanted))
    if path.exists():
        stored = stored_index(path)
        demand_same(folder, stored, index, fresh=fresh)
        index = {**index, "seed": stored["seed"], "threads": stored["threads"]}
    else:
        replace_text(path, json.dumps(index, indent=2) + "\n")
    for left in folder.glob(_WRITING):
        remove(left)
    num, size = index["num"], index["shard_size"]
    names = [name_of(number, index["shards"]) for number in range(index["shards"])]
    if others := sorted({path.name for path in folder.glob("samples-*.npz")} - {*names}):
        raise OutputExistsError(
            f"{str(folder)!r} holds {others[0]!r}, which is not one of its {len(names)} files. "
            "Move it elsewhere, or choose a new folder."
        )
    missing = [
        number
        for number, name in enumerate(names)
        if not _is_there(folder / name, (_rows(number, size, num), *event.event_shape))
    ]
    return _Opened(index, missing)


def _is_there(path: Path, shape: tuple[int, ...]) -> bool:
    """Whether a file of samples is there; it is read to its end.

    Raises:
        DataError: It is damaged.
    """
    if not path.exists():
        return False
    try:
        with np.load(path, allow_pickle=False) as file:
            found = file["x"].shape
    except _UNREADABLE as error:
        raise _damaged(path, str(error)) from error
    if found != shape:
        raise _damaged(path, f"its array x has shape {found}, not {shape}")
    return True


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{str(path)!r} is damaged: {why}. Remove it, and give the command again.")
