"""Repositories: commits of files, branches and tags, all in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from hub_server.answers import Refused, no_revision

MAIN = "main"
LARGE_ENDINGS = (
    *("7z", "bin", "ckpt", "gz", "h5", "jpeg", "jpg", "msgpack", "npy", "npz", "onnx", "parquet"),
    *("pickle", "pkl", "png", "pt", "pth", "safetensors", "tar", "zip"),
)
"""The endings of names that make a file a large one, whatever its size."""


def git_oid(data: bytes) -> str:
    """Return git's name of a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Blob:
    """A file's bytes. A large one is kept next to git, which holds a pointer to it."""

    data: bytes
    large: bool

    @cached_property
    def sha256(self) -> str:
        """The name of a large file."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        """What git holds of it."""
        if not self.large:
            return self.data
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """Git's name of what git holds."""
        return git_oid(self.pointer)

    @property
    def etag(self) -> str:
        """What it is called when it is sent."""
        return self.sha256 if self.large else self.oid


@dataclass(frozen=True)
class Commit:
    """All files at one moment, and who brought them."""

    files: Mapping[str, Blob]
    title: str
    message: str = ""
    user: str = ""
    parent: Commit | None = None
    date: datetime = field(default_factory=lambda: datetime.now(UTC))
    salt: bytes = field(default_factory=lambda: os.urandom(8))

    @cached_property
    def sha(self) -> str:
        """Its name, never given twice, also to equal commits: clients keep caches by it."""
        parent = self.parent.sha if self.parent else ""
        lines = [f"{name} {blob.oid}" for name, blob in sorted(self.files.items())]
        text = "\n".join([parent, self.title, *lines]).encode()
        return hashlib.sha1(text + self.salt, usedforsecurity=False).hexdigest()

    @property
    def when(self) -> str:
        """Its time, as the Hub writes it."""
        return self.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def history(self) -> Iterator[Commit]:
        """Yield it and all before it, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent


@dataclass
class Repository:
    """A repository.

    Arguments:
        type: "models", "datasets" or "spaces".
        id: ``user/name``.
        private: Whether only its owner may know of it.
        gated: False, or the way in which users are let in ("auto", "manual").
        allowed: The users that were let in.
        branches, tags, pulls: Commits by name; of a pull request, by its number.
    """

    type: str
    id: str
    private: bool = False
    gated: str | bool = False
    allowed: set[str] = field(default_factory=set)
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)
    pulls: dict[str, Commit] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The user or organisation that it belongs to."""
        return self.id.partition("/")[0]

    @property
    def address(self) -> str:
        """Its path on the site."""
        return self.id if self.type == "models" else f"{self.type}/{self.id}"

    def commit_of(self, revision: str) -> Commit:
        """Return the commit that a branch, a tag, a reference or a hash, also a short one, names.

        Raises:
            Refused: There is none.
        """
        name = MAIN if revision == "HEAD" else revision.removeprefix("refs/heads/")
        for found in (self.branches, self.tags, self._references()):
            if name in found:
                return found[name]
        if len(name) >= 7:
            for commit in self._all():
                if commit.sha.startswith(name):
                    return commit
        raise no_revision(revision)

    def set_head(self, revision: str, commit: Commit) -> None:
        """Move a branch, or a pull request, to a commit."""
        name = revision.removeprefix("refs/heads/")
        if name.startswith("refs/pr/"):
            self.pulls[name.removeprefix("refs/pr/")] = commit
        else:
            self.branches[name] = commit

    def can_be_written(self, revision: str) -> bool:
        """Whether commits can be made upon a revision: a branch or a pull request."""
        name = revision.removeprefix("refs/heads/")
        return name in self.branches or name.removeprefix("refs/pr/") in self.pulls

    def _references(self) -> dict[str, Commit]:
        return {f"refs/pr/{number}": commit for number, commit in self.pulls.items()} | {
            f"refs/tags/{name}": commit for name, commit in self.tags.items()
        }

    def _all(self) -> Iterator[Commit]:
        for heads in (self.branches, self.tags, self.pulls):
            for head in heads.values():
                yield from head.history()


class Store:
    """All repositories, and the large files that were uploaded, by their SHA-256."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, Blob] = {}

    def create(self, type: str, repo_id: str, **options: object) -> Repository:
        """Make a repository, without a commit.

        Raises:
            Refused: There is one of that name.
        """
        if (type, repo_id) in self.repositories:
            raise Refused(409, "You already created this repo")
        made = Repository(type, repo_id, **options)  # type: ignore[arg-type]
        self.repositories[type, repo_id] = made
        return made

    def find(self, type: str, repo_id: str) -> Repository | None:
        """Return a repository, if there is one."""
        return self.repositories.get((type, repo_id))
