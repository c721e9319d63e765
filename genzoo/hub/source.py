"""A model's files in one commit of a Hub, each fetched and checked when it is needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from genzoo.description import read_description
from genzoo.errors import ConfigFileError
from genzoo.hub.fetching import Snapshot
from genzoo.hub.headers import remote_header
from genzoo.hub.reference import MAIN, Reference, local_folder, names_repository
from genzoo.model_files import CONFIG
from genzoo.storage import FolderSource, ModelSource
from genzoo.weights import Header, read_header


class SnapshotSource(ModelSource):
    """The files of one commit. Cached files are checked before they are read.

    Arguments:
        snapshot: The commit.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot.folder, str(snapshot.reference), snapshot.sha)
        self._snapshot = snapshot

    def __contains__(self, name: object) -> bool:
        """Whether the repository has such a file."""
        return name in self._snapshot.files

    def names(self, folder: str) -> Iterable[str]:
        """Return the names of all files of the repository."""
        return self._snapshot.files

    def description(self) -> dict[str, Any]:
        """Return the content of ``config.json``, fetched separately."""
        if CONFIG.name not in self:
            names = list(self._snapshot.files)
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise ConfigFileError(
                f"{self.title} has no {CONFIG.name}, so it is not a model of genzoo. It has "
                f"{', '.join(names[:5]) or 'nothing'}{more}."
            )
        self._snapshot.file(CONFIG.name, most=CONFIG.max_bytes)
        return read_description(self.folder)

    def file(self, name: str, most: int) -> Path:
        """Return the path of a file, fetched if it is not in the cache."""
        return self._snapshot.file(name, most=most)

    def has_file(self, name: str) -> bool:
        """Whether the repository has such a file."""
        return name in self

    def header(self, name: str) -> Header:
        """Return the header of a weight file, from the cache or with a request."""
        if self._snapshot.is_cached(name):
            return read_header(self._snapshot.file(name))
        return remote_header(self._snapshot, name)

    def fetch(self, names: Iterable[str]) -> None:
        """Fetch weight files, after checking the space on the disk."""
        wanted = list(names)
        if not self.is_here(wanted):
            self._snapshot.check_space(wanted)
        for name in wanted:
            self._snapshot.file(name)

    def is_here(self, names: Iterable[str]) -> bool:
        """Whether the cache has files of weights, be they sound or not."""
        return all(map(self._snapshot.is_cached, names))


@contextlib.contextmanager
def source_of(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    verify: bool = False,
) -> Iterator[ModelSource]:
    """Give the files of a model: of a folder, or of a repository where there is no such folder.

    The arguments are those of `GenModel.from_pretrained`.

    Raises:
        HubError: It is not available; the subclass and the message say why, and what to do.
        ConfigError: A name is malformed, or a folder of this machine is given a revision.
    """
    if not names_repository(source):
        yield FolderSource(local_folder(source, revision, subfolder))
        return
    reference = Reference(str(source), revision or MAIN, subfolder or "")
    with Snapshot(reference, token=token, cache_dir=cache_dir, verify=verify) as snapshot:
        yield SnapshotSource(snapshot)
