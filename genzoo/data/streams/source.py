"""Streams: shards of folders, URLs and Hub repositories as a source of data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.holding_out import HELD_OUT
from genzoo.data.streams.config import StreamConfig
from genzoo.data.streams.disk import Files, is_remote, plain_path
from genzoo.data.streams.forms import Form, Stated, form_of
from genzoo.data.streams.locations import Named, find_shards, is_repository
from genzoo.data.streams.rows import (
    StreamedDataset,
    check_window,
    chunks_of,
    first_chunks,
)
from genzoo.data.streams.shards import Shard, open_shards
from genzoo.data.streams.sheet import read_sheet
from genzoo.errors import DataError, counted


class Stream(DataSource[StreamConfig]):
    """Shards that are read as they are needed: Parquet, WebDataset tar files, or safetensors.

    The location is a folder, a pattern such as ``shards/train-*.parquet``, a URL that fsspec
    opens, or a Hub repository. The name of a shard, or of its folder, names its split.
    """

    Config = StreamConfig
    located = True

    def splits(self) -> tuple[str, ...]:
        """Return the splits that have shards, and that of the shards that are held out."""
        held = (HELD_OUT,) if self.config.valid_shards else ()
        return (*self._found, *held)

    def load(self, split: str) -> Dataset:
        """Return the rows of one split; those of the first decide the space of all."""
        first = next(iter(self._found))
        shards = self._shards[split]
        form = self._form if split in (first, HELD_OUT) else self._form_of(shards)
        found = StreamedDataset(shards, form, self.config, f"{self._title}/{split}")
        every = chunks_of(self._shards[first])
        some = int(every.rows[first_chunks(every, self.config)].sum())
        of_first = f"{some:,} of the {int(every.rows.sum()):,} rows of {first!r} decide their kind"
        found.notes = (
            f"streamed from {counted(len(shards), 'shard')}; {of_first}.",
            *self._located[1],
            *form.notes,
        )
        return found

    @property
    def _title(self) -> str:
        """The name in messages: that of a repository, or of the last folder or pattern."""
        if is_repository(self.location):
            return self.location
        return self.location.rstrip("/").rpartition("/")[2] or self.location

    @cached_property
    def _files(self) -> Files:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = self.config.cache_dir or f"{home}/genzoo/shards"
        return Files(Path(folder).expanduser(), self.config.cache_bytes)

    @cached_property
    def _located(self) -> tuple[dict[str, Named], tuple[str, ...]]:
        return find_shards(self.location, self.config)

    @property
    def _found(self) -> dict[str, Named]:
        return self._located[0]

    @cached_property
    def _shards(self) -> dict[str, list[Shard]]:
        """The shards of each split, the held-out ones by themselves."""
        found = {split: self._opened(split, shards) for split, shards in self._found.items()}
        if num := self.config.valid_shards:
            first = next(iter(found))
            if len(found[first]) <= num:
                raise DataError(
                    f"{self.location!r} has {counted(len(found[first]), 'shard')} to train on, "
                    f"so {num} cannot be held out. Give a smaller --data.valid-shards, or more "
                    "shards."
                )
            found[HELD_OUT] = found[first][-num:]
            found[first] = found[first][:-num]
        return found

    def _opened(self, split: str, shards: Named) -> list[Shard]:
        found = open_shards(shards, self._files)
        if not found:
            raise DataError(f"The split {split!r} of {self.location!r} is empty: it has no rows.")
        return found

    @cached_property
    def _form(self) -> Form:
        """The form of all splits, from the first shards."""
        shards = next(iter(self._shards.values()))
        places = [(shard, chunk) for shard in shards for chunk in range(len(shard.index.rows))]
        check_window(shards, self.config)
        chosen = first_chunks(chunks_of(shards), self.config).tolist()
        some = [places[number][0].read(places[number][1]) for number in chosen]
        stated = Stated(read_sheet(self._sheets(), self._files), _greatest(shards))
        return form_of(some, stated, self.config, shards[0].name)

    def _form_of(self, shards: Sequence[Shard]) -> Form:
        return self._form.of_split(shards[0].read(0), shards[0].name)

    def _sheets(self) -> list[str]:
        """Return the folders where the writer of the shards may have stated their spaces."""
        first = next(iter(self._found.values()))[0][1]
        if is_remote(first):
            parent = first.partition("?")[0].rpartition("/")[0]
            return [parent, parent.rpartition("/")[0]]
        folder = plain_path(first).parent
        return [str(folder), str(folder.parent)]


def _greatest(shards: Sequence[Shard]) -> dict[str, int]:
    """Return the greatest value of columns of whole numbers, where all shards state it."""
    stated = [shard.index.greatest for shard in shards]
    return {
        name: max(one[name] for one in stated)
        for name in stated[0]
        if all(name in one for one in stated)
    }
