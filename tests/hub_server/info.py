"""What is in a repository: the repository itself, its files and folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from hub_server import card
from hub_server.access import readable
from hub_server.answers import Answer, no_entry
from hub_server.routing import Call, route
from hub_server.store import MAIN, Blob, Commit


@route("GET", "{api}")
@route("GET", "{api}/revision/{rev}")
def info(call: Call) -> Answer:
    """Say all of a repository; a gated one too is known to everybody."""
    repository, blobs = (
        readable(call),
        call.request.query.get("blobs", "") in ("1", "true", "True"),
    )
    found: dict[str, Any] = {
        "_id": f"id-of-{repository.id}",
        "id": repository.id,
        "modelId": repository.id,
        "author": repository.owner,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [],
    }
    if repository.branches or call["rev"]:
        commit = repository.commit_of(call["rev"] or MAIN)
        readme = commit.files.get("README.md")
        siblings = [_sibling(name, blob, blobs) for name, blob in sorted(commit.files.items())]
        found |= {"sha": commit.sha, "lastModified": commit.when, "siblings": siblings}
        found |= {"createdAt": [*commit.history()][-1].when}
        found |= card.facts(card.read(readme.data if readme else None))
    return Answer.of(found)


@route("GET", "{api}/tree/{rev}/?")
@route("GET", "{api}/tree/{rev}/{path}")
def tree(call: Call) -> Answer:
    """List a folder, or all below it, a page at a time."""
    commit, query = readable(call).commit_of(call["rev"]), call.request.query
    folder = call["path"].strip("/")
    inside = f"{folder}/" if folder else ""
    if folder and not any(name.startswith(inside) for name in commit.files):
        raise no_entry(folder, commit.sha)
    recursive = query.get("recursive", "").lower() in ("1", "true")
    entries = _entries(call, commit, inside, recursive=recursive)
    return page(call, entries, int(query.get("limit") or call.hub.page_size))


@route("POST", "{api}/paths-info/{rev}")
def paths_info(call: Call) -> Answer:
    """Say what is known of some paths; those that are not there are left out."""
    commit = readable(call).commit_of(call["rev"])
    if "json" in call.request.headers.get("content-type", ""):
        paths = call.request.json.get("paths", [])
    else:
        paths = parse_qs(call.request.body.decode()).get("paths", [])
    entries = {entry["path"]: entry for entry in _entries(call, commit, "", recursive=True)}
    return Answer.of([entries[path.strip("/")] for path in paths if path.strip("/") in entries])


def page(call: Call, entries: list[Any], size: int) -> Answer:
    """Return one page of a listing, with the address of the next one."""
    query = call.request.query
    first = int(query.get("cursor") or 0)
    headers = {}
    if first + size < len(entries):
        more = urlencode({**query, "cursor": first + size})
        headers["Link"] = f'<{call.hub.url}{call.request.raw_path}?{more}>; rel="next"'
    return Answer.of(entries[first : first + size], headers=headers)


def _entries(call: Call, commit: Commit, inside: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Return what is below a folder: files, and folders once each."""
    found: dict[str, dict[str, Any]] = {}
    for name, blob in sorted(commit.files.items()):
        if not name.startswith(inside):
            continue
        parts = name.removeprefix(inside).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            folder = inside + "/".join(parts[:depth])
            found[folder] = _folder(folder, commit.files)
        if recursive or len(parts) == 1:
            found[name] = _file(call, name, blob)
    last = {"id": commit.sha, "title": commit.title, "date": commit.when}
    expand = call.request.query.get("expand", "").lower() in ("1", "true")
    return [entry | ({"lastCommit": last} if expand else {}) for entry in found.values()]


def _folder(path: str, files: Mapping[str, Blob]) -> dict[str, Any]:
    below = [f"{name} {blob.oid}" for name, blob in files.items() if name.startswith(f"{path}/")]
    oid = hashlib.sha1("\n".join(sorted(below)).encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def _file(call: Call, path: str, blob: Blob) -> dict[str, Any]:
    found = {"type": "file", "oid": blob.oid, "size": len(blob.data), "path": path}
    if blob.large:
        lfs = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
        found["lfs"] = lfs
        if call.hub.xet:
            found["xetHash"] = call.hub.cas.hash_of(blob)
    return found


def _sibling(path: str, blob: Blob, metadata: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": path}
    if metadata:
        found |= {"size": len(blob.data), "blobId": blob.oid}
        if blob.large:
            pointer_size = len(blob.pointer)
            lfs = {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": pointer_size}
            found["lfs"] = lfs
    return found
