"""The files of one commit, fetched into the cache and compared with the Hub's checksums."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Self

from genzoo.errors import (
    GenzooError,
    HubIntegrityError,
    HubMissingError,
    HubNetworkError,
    HubOfflineError,
    HubSpaceError,
    LoadError,
)
from genzoo.files import replace_text
from genzoo.hub.download_bar import tqdm_class
from genzoo.hub.errors import is_offline
from genzoo.hub.file_metadata import Commit, Stated, ask_commit
from genzoo.hub.integrity import Record
from genzoo.hub.reference import Reference, is_commit
from genzoo.hub.retry import ask

_NO_FOLDER = "There is no local folder with this name either."

log = logging.getLogger(__name__)


class Snapshot:
    """The files of one commit, even if the branch moves.

    The revision is resolved once, when the snapshot is created, with one request. No request is
    made if it is a full commit that is known here, or if requests are disabled.

    Arguments:
        reference: The model.
        token: The access token; None means that of HF_TOKEN or of ``hf auth login``.
        cache_dir: The cache; None means huggingface_hub's.
        verify: Whether files are compared with their checksums even if they are known to be
            unchanged.

    Raises:
        HubError: It is not available; the subclass and the message say why, and what to do.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        verify: bool = False,
    ) -> None:
        from huggingface_hub import constants

        self.reference, self.token, self.verify = reference, token, verify
        self._read_in_full: set[str] = set()
        self.cache = Path(cache_dir or constants.HF_HUB_CACHE).expanduser()
        # The client's name of the folder; its own function takes long to import.
        self._storage = self.cache / f"models--{reference.repository.replace('/', '--')}"
        self._record = self._resolved()
        self.sha = self._record.commit.sha
        snapshot = self._storage / "snapshots" / self.sha
        self.folder = Path(snapshot, *filter(None, reference.subfolder.split("/")))

    @property
    def files(self) -> dict[str, Stated]:
        """The metadata of the files in the model's folder, by name."""
        start = self.reference.inside("")
        found = self._record.commit.files.items()
        return {name.removeprefix(start): file for name, file in found if name.startswith(start)}

    def is_cached(self, name: str) -> bool:
        """Whether a file is in the cache, valid or not."""
        return (self.folder / name).exists()

    def file(self, name: str, *, most: int | None = None) -> Path:
        """Return a file, fetched if necessary and compared with the Hub's checksum.

        A file that is damaged or truncated is fetched again once.

        Arguments:
            name: Its name in the model's folder.
            most: Its maximum size in bytes.

        Raises:
            HubMissingError: The repository has no such file.
            HubIntegrityError: It is still damaged after it was fetched again.
            LoadError: It is larger than ``most``; nothing was fetched.
            HubError: It is not available.
        """
        stated = self.files.get(name)
        if stated is None:
            raise HubMissingError(f"{self.reference} has no {name}. Check its files.")
        if most is not None and stated.size > most:
            raise LoadError(
                f"{name} of {self.reference} has {stated.size:,} bytes; {most:,} are allowed."
            )
        path = self.folder / name if self.is_cached(name) else self._fetched(name)
        if not self._holds(name, path, stated):
            path = self._fetched_again(name, path, stated)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Record which files were checked."""
        self._record.write()

    def check_space(self, names: Iterable[str]) -> None:
        """Raise HubSpaceError if the disk has no space for the missing files."""
        missing = [name for name in names if not self.is_cached(name)]
        need = sum(self.files[name].size for name in missing)
        self.cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.cache).free
        if need > free:
            raise HubSpaceError(
                f"{self.reference} needs {need:,} more bytes; {free:,} are left on the disk of "
                f"{self.cache}. Free some (hf cache rm), or move the cache by HF_HUB_CACHE."
            )

    def _holds(self, name: str, path: Path, stated: Stated) -> bool:
        inside = self.reference.inside(name)
        in_full = self.verify and name not in self._read_in_full
        held = self._record.holds(inside, path, stated, in_full=in_full)
        if held:
            self._read_in_full.add(name)
        return held

    def _fetched_again(self, name: str, path: Path, stated: Stated) -> Path:
        if is_offline():
            raise HubIntegrityError(
                f"{path} is damaged: it differs from the Hub's {name} of {self.reference}. "
                "Requests are disabled (offline: HF_HUB_OFFLINE is set): unset it, and it is "
                "fetched again."
            )
        log.warning("%s is damaged or truncated. Fetching it again.", path)
        path = self._fetched(name, again=True)
        if not self._holds(name, path, stated):
            raise HubIntegrityError(
                f"{name} of {self.reference} (commit {self.sha[:8]}) differs from the Hub's, "
                f"also after it was fetched again: {path}. The network or the disk damages it; "
                "try another network, or another disk with HF_HUB_CACHE."
            )
        return path

    def _fetched(self, name: str, *, again: bool = False) -> Path:
        from huggingface_hub import hf_hub_download

        fetch = partial(
            hf_hub_download,
            self.reference.repository,
            self.reference.inside(name),
            revision=self.sha,
            cache_dir=self.cache,
            token=self.token,
            force_download=again,
            tqdm_class=tqdm_class(name),
        )
        return Path(ask(f"{name} of {self.reference}", fetch))

    def _resolved(self) -> Record:
        """Return the metadata of the reference's current commit."""
        reference = self.reference
        if reference.is_pinned and (known := Record.read(self._storage, reference.revision)):
            return known
        if is_offline():
            return self._cached(None)
        try:
            commit = ask_commit(reference, self.token)
        except HubNetworkError as error:
            record = self._cached(error)
            log.warning("%s Continuing with commit %s of the cache.", error, record.commit.sha[:8])
            return record
        if not reference.is_pinned:
            self._write_ref(commit.sha)
        return Record.of(self._storage, commit)

    def _cached(self, error: HubNetworkError | None) -> Record:
        """Return the commit that the cache has for the reference.

        Raises:
            HubOfflineError: It has none, and requests are disabled.
            HubNetworkError: It has none, and the Hub cannot be reached.
        """
        reference = self.reference
        sha = reference.revision if reference.is_pinned else self._read_ref()
        record = Record.read(self._storage, sha) or _told_by_names(self._storage, sha)
        if record is not None:
            return record
        if error is not None:
            raise HubNetworkError(f"{error} {_NO_FOLDER}") from error
        raise HubOfflineError(
            f"{reference} is not in the cache, and requests are disabled (offline: "
            "HF_HUB_OFFLINE is set). Unset it and load once, or choose a cached model: hf "
            f"cache list. {_NO_FOLDER}"
        )

    def _read_ref(self) -> str:
        path = self._storage / "refs" / self.reference.revision
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text("utf-8").strip()
            return text if is_commit(text) else ""
        return ""

    def _write_ref(self, sha: str) -> None:
        """Record the branch's commit in the place where the client looks for it too."""
        path = self._storage / "refs" / self.reference.revision
        with contextlib.suppress(GenzooError):
            if self._read_ref() != sha:
                replace_text(path, sha)


def _told_by_names(storage: Path, sha: str) -> Record | None:
    """Return the metadata of a commit from the cache's file names, which are checksums.

    It covers existing files only, so it is not recorded.
    """
    snapshot = storage / "snapshots" / sha
    if not sha or not snapshot.is_dir():
        return None
    files = {}
    for path in snapshot.rglob("*"):
        if path.is_symlink() and path.is_file():
            digest, size = Path(os.readlink(path)).name, path.stat().st_size
            kind = {64: "sha256", 40: "git"}.get(len(digest))
            if kind:
                files[path.relative_to(snapshot).as_posix()] = Stated(size, **{kind: digest})
    return Record(None, Commit(sha, files))
