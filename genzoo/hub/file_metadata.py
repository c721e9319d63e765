"""What a Hub states of a commit's files: names, sizes and checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genzoo.config import shown
from genzoo.errors import HubError, HubMissingError
from genzoo.hub.reference import Reference, is_commit
from genzoo.hub.retry import ask

_PIECE = 2**20


@dataclass(frozen=True)
class Stated:
    """What a Hub states of one file.

    Arguments:
        size: Bytes.
        sha256: Of a large file, which Git LFS or Xet stores; None of a small one.
        git: The SHA-1 that git gives a small file; None of a large one, whose is its pointer's.
    """

    size: int
    sha256: str | None = None
    git: str | None = None

    def holds_for(self, path: Path) -> bool:
        """Whether a file is the one that is stated: its size and its checksum."""
        if path.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return _digest(path, hashlib.sha256()) == self.sha256
        # Git's name of a file: no protection against a forger, which TLS and the Hub are for, but
        # of every damage on the way and on the disk.
        named = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        return _digest(path, named) == self.git


@dataclass(frozen=True)
class Commit:
    """One commit of a repository, with all its files.

    Arguments:
        sha: The full commit.
        files: What is stated of each file, by its path in the repository.
    """

    sha: str
    files: Mapping[str, Stated]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "sha": self.sha,
            "files": {name: asdict(file) for name, file in self.files.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Commit:
        """Read what ``to_dict`` gave.

        Raises:
            KeyError, TypeError: It is something else.
        """
        files = {name: Stated(**file) for name, file in values["files"].items()}
        return cls(values["sha"], files)


def ask_commit(reference: Reference, token: str | bool | None) -> Commit:
    """Ask the Hub which commit a reference is now, and what is in it, in one request.

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
        raise HubMissingError(f"{reference} holds no commit yet. Push something to it first.")
    try:
        return Commit(str(info.sha), dict(map(_stated, info.siblings or ())))
    except (TypeError, ValueError) as error:
        raise HubError(
            f"{reference}: the Hub does not state its files as it should ({error}). Check "
            "HF_ENDPOINT; if it is right, try later."
        ) from error


def _stated(file: Any) -> tuple[str, Stated]:
    """Return a file's name, and what is stated of it.

    Raises:
        ValueError: It is not what a Hub states.
    """
    large = file.lfs
    size, digest = (file.size, file.blob_id) if large is None else (large.size, large.sha256)
    size = 0 if size is None and large is None else size
    if not (isinstance(file.rfilename, str) and type(size) is int and size >= 0):
        raise ValueError(f"{shown(file.rfilename)} has {shown(size)} bytes")
    kind = "git" if large is None else "sha256"
    return file.rfilename, Stated(size, **{kind: str(digest)})


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb", buffering=0) as file:
        piece = memoryview(bytearray(_PIECE))
        while count := file.readinto(piece):
            digest.update(piece[:count])
    return str(digest.hexdigest())
