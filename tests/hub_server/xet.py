"""Large files kept by Xet: chunks in a folder that hf_xet itself reads and writes.

hf_xet takes ``local:///some/folder`` for a storage, which is not documented. A client that opens
such a folder locks it for as long as the process lives, so each token names a fresh copy, and this
process reads what was written there from another copy.
"""

from __future__ import annotations

import itertools
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub_server.access import open_to, readable, user_of, writable
from hub_server.answers import Answer, Refused
from hub_server.routing import Call, route
from hub_server.store import Blob

_INSIDE = Path("xet", "xorbs")
_HAS_METADATA, _HAS_CHECKS = 1 << 30, 1 << 31
_SIZE = 48
"""Bytes of every record of a shard."""


@route("GET", "{api}/xet-read-token/{rev}")
def read_token(call: Call) -> Answer:
    """Lend the storage for reading."""
    repository = readable(call)
    open_to(call, repository)
    return _token(call)


@route("GET", "{api}/xet-write-token/{rev}")
def write_token(call: Call) -> Answer:
    """Lend the storage for writing: to the owner, or for a pull request to anybody known."""
    if call.request.query.get("create_pr"):
        user_of(call, needed=True)
        open_to(call, readable(call))
    else:
        writable(call)
    return _token(call)


def _token(call: Call) -> Answer:
    if not call.hub.xet:
        raise Refused(404, "This Hub has no Xet")
    address, token, ends = call.hub.cas.lend(), "xet-token", int(time.time()) + 3600
    headers = {
        "X-Xet-Cas-Url": address,
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(ends),
    }
    return Answer.of({"casUrl": address, "accessToken": token, "exp": ends}, headers=headers)


class Storage:
    """The chunks of all large files, and the copies of them that were lent."""

    def __init__(self) -> None:
        self._room = tempfile.TemporaryDirectory(prefix="hub-xet-")
        self._numbers = itertools.count()
        self._session: Any = None
        self._hashes: dict[str, str] = {}
        self._lent: list[Path] = []

    @property
    def lent(self) -> list[Path]:
        """The folders that were lent, oldest first."""
        return list(self._lent)

    def close(self) -> None:
        """Delete everything."""
        self._room.cleanup()

    def lend(self) -> str:
        """Return the address of a copy of the storage, which nobody else uses."""
        self._lent.append(self._copy(self._own))
        return f"local://{self._lent[-1]}"

    def hash_of(self, blob: Blob) -> str:
        """Return Xet's name of a file, having stored it."""
        if blob.sha256 not in self._hashes:
            import hf_xet

            with self._opened.new_upload_commit(endpoint=f"local://{self._own}") as commit:
                handle = commit.start_upload_bytes(blob.data, sha256=hf_xet.COMPUTE_SHA256)
            self._hashes[blob.sha256] = handle.result().xet_info.hash
        return self._hashes[blob.sha256]

    def uploaded(self, sha256: str) -> Blob | None:
        """Return a file that somebody wrote into a copy; None where nobody did."""
        for folder in reversed(self._lent):
            for hash, named, size in _listed(folder):
                if named == sha256:
                    return self._read(folder, hash, size)
        return None

    def _read(self, folder: Path, hash: str, size: int) -> Blob:
        import hf_xet

        address = f"local://{self._copy(folder)}"
        with self._opened.new_download_stream_group(endpoint=address) as group:
            data = b"".join(group.download_stream(hf_xet.XetFileInfo(hash, size)))
        return Blob(data, large=True)

    @property
    def _own(self) -> Path:
        return Path(self._room.name, "own")

    @property
    def _opened(self) -> Any:
        if self._session is None:
            import hf_xet

            self._session = hf_xet.XetSession()
        return self._session

    def _copy(self, folder: Path) -> Path:
        """Return a copy of a storage: hard links, but for the table, which is written in place."""
        copy = Path(self._room.name, str(next(self._numbers)))
        (copy / _INSIDE).mkdir(parents=True)
        if (folder / _INSIDE).exists():
            shutil.copytree(
                folder / _INSIDE, copy / _INSIDE, copy_function=_link, dirs_exist_ok=True
            )
        return copy


def _link(source: str, target: str) -> None:
    if source.endswith(".redb"):
        shutil.copyfile(source, target)
    else:
        os.link(source, target)


def _listed(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Yield Xet's name, the SHA-256 and the size of each file of a storage."""
    for path in (folder / _INSIDE / "shards").glob("*.mdb"):
        yield from _files(path.read_bytes())


def _files(shard: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield what a shard says of its files: records of 48 bytes, up to one of only ones."""
    at = _SIZE
    while shard[at : at + 32] != b"\xff" * 32:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        sizes = [
            struct.unpack_from("<I", shard, at + _SIZE * n + 36)[0] for n in range(1, count + 1)
        ]
        name, end = _hex(shard, at), at + _SIZE * (1 + count * (2 if flags & _HAS_CHECKS else 1))
        if flags & _HAS_METADATA:
            yield name, _hex(shard, end), sum(sizes)
            end += _SIZE
        at = end


def _hex(shard: bytes, at: int) -> str:
    return "".join(f"{word:016x}" for word in struct.unpack_from("<4Q", shard, at))
