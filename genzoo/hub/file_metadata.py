"""The metadata of a commit's files: names, sizes and checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.config import shown
from genzoo.errors import HubError, HubMissingError
from genzoo.files import sha256_of
from genzoo.hub.reference import Reference, is_commit
from genzoo.hub.retry import ask


@dataclass(frozen=True)
class Stated:
    """The metadata of one file.

    Arguments:
        size: Its size in bytes.
        sha256: The SHA-256 of a large file, which Git LFS or Xet stores; None for a small file.
        git: Git's SHA-1 of a small file; None for a large file, where it would be that of the
            pointer.
    """

    size: int
    sha256: str | None = None
    git: str | None = None

    def holds_for(self, path: Path) -> bool:
        """Whether a file has the stated size and checksum."""
        if path.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return sha256_of(path) == self.sha256
        # Git's name of a file. It does not protect against forgery, which is the task of TLS and
        # the Hub, but it detects all damage in transit and on the disk.
        named = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: named).hexdigest() == self.git


@dataclass(frozen=True)
class Commit:
    """One commit of a repository, with all its files.

    Arguments:
        sha: The full commit.
        files: The metadata of each file, by its path in the repository.
    """

    sha: str
    files: Mapping[str, Stated]


def ask_commit(reference: Reference, token: str | bool | None) -> Commit:
    """Get the current commit of a reference and its files from the Hub, with one request.

    Raises:
        HubError: It is not available.
    """
    from huggingface_hub import HfApi

    info = ask(
        str(reference),
        lambda: HfApi(token=token).model_info(
            reference.repository, revision=reference.revision, files_metadata=True
        ),
    )
    if not is_commit(info.sha):
        raise HubMissingError(f"{reference} has no commit yet. Push something to it first.")
    try:
        return Commit(str(info.sha), dict(map(_stated, info.siblings or ())))
    except (TypeError, ValueError) as error:
        raise HubError(
            f"{reference}: the Hub's list of files is malformed ({error}). Check "
            "HF_ENDPOINT; if it is right, try later."
        ) from error


def _stated(file: Any) -> tuple[str, Stated]:
    """Return a file's name and metadata.

    Raises:
        ValueError: It is malformed.
    """
    large = file.lfs
    size, digest = (file.size, file.blob_id) if large is None else (large.size, large.sha256)
    size = 0 if size is None and large is None else size
    if not (isinstance(file.rfilename, str) and type(size) is int and size >= 0):
        raise ValueError(f"{shown(file.rfilename)} has {shown(size)} bytes")
    kind = "git" if large is None else "sha256"
    return file.rfilename, Stated(size, **{kind: str(digest)})
