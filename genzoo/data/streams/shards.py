"""Shards: their rows, counted once, and their chunks, read from unchanged files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from genzoo.data.streams.disk import Files, State, is_remote, patiently
from genzoo.data.streams.formats import Index, as_mapping, attempt, format_of, from_mapping
from genzoo.errors import DataError
from genzoo.files import replace_text
from genzoo.parsing import strict_json
from genzoo.progress import progress_bar

_AT_ONCE = 8
"""The number of remote shards that are asked for their rows at once."""


@dataclass(frozen=True)
class Shard:
    """A file of rows.

    Arguments:
        name: Its name in messages.
        location: Its path or URL.
        state: What it was when it was counted.
        index: What is read at once.
        files: Reads files.
    """

    name: str
    location: str
    state: State
    index: Index
    files: Files

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return sum(self.index.rows)

    def read(self, chunk: int) -> Any:
        """Return a chunk: a table of pyarrow, or `Columns`.

        Raises:
            DataError: The file is missing or damaged, or is another one than when it was counted.
        """
        one = format_of(self.name)

        def call() -> Any:
            if not is_remote(self.location) and self.files.state(self.location) != self.state:
                raise DataError(
                    f"The shard {self.name!r} has changed since its rows were counted. Restore "
                    "it and resume, or begin anew with the new one."
                )
            return one.read(self.files.local(self.location, self.state), chunk, self.index)

        return attempt(self.name, one, call)


def open_shards(named: Sequence[tuple[str, str]], files: Files) -> list[Shard]:
    """Return shards with their rows counted, without those that are empty.

    Arguments:
        named: The name and the location of each.
        files: Reads files.

    Raises:
        DataError: One is missing or damaged.
    """
    remote = any(is_remote(location) for _, location in named)
    with progress_bar("Counting rows", "shard", len(named)) as shown:

        def counted(one: tuple[str, str]) -> Shard:
            found = _opened(*one, files)
            shown.update()
            return found

        if not remote:
            found = [counted(one) for one in named]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                found = list(pool.map(counted, named))
    return [shard for shard in found if shard.num_rows]


def identity_of(shards: Sequence[Shard]) -> str:
    """Return a short text that is equal for the same shards only: names, bytes and rows."""
    facts = [(shard.name, shard.state.size, shard.index.rows) for shard in shards]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _opened(name: str, location: str, files: Files) -> Shard:
    one = format_of(name)

    def call() -> Shard:
        state = files.state(location)
        kept = is_remote(location) or one.needs_all
        index = _known(files, location, state) if kept else None
        if index is None:
            if is_remote(location) and not one.needs_all:
                index = patiently(location, lambda: _index_of(files, location, one))
            else:
                index = one.index(files.local(location, state))
            if kept and (is_remote(location) or index.samples):
                _keep(files, location, state, index)
        return Shard(name, location, state, index, files)

    found: Shard = attempt(name, one, call)
    return found


def _index_of(files: Files, location: str, one: Any) -> Index:
    with files.opened(location) as file:
        found: Index = one.index(file)
    return found


def _known(files: Files, location: str, state: State) -> Index | None:
    """Return the index that was kept; None if there is none."""
    try:
        return from_mapping(strict_json(files.notes(location, state).read_text("utf-8")))
    except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def _keep(files: Files, location: str, state: State, index: Index) -> None:
    # Where nothing can be written, the rows are counted again.
    with contextlib.suppress(OSError):
        path = files.notes(location, state)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(as_mapping(index)))
