"""Pushing: which files go where, and the commit itself, all of it or nothing."""

from __future__ import annotations

import base64
import fnmatch
import json
from typing import Any

from hub_server.access import open_to, readable, user_of, writable
from hub_server.answers import Answer, Refused, no_entry, no_revision
from hub_server.routing import Call, route
from hub_server.store import LARGE_ENDINGS, MAIN, Blob, Commit, Repository

LARGE_NAMES = tuple(f"*.{ending}" for ending in LARGE_ENDINGS)


def is_large(call_or_hub: Any, name: str, size: int, sample: bytes = b"") -> bool:
    """Whether the Hub keeps a file next to git: by its name, its size or its first bytes."""
    base = name.rpartition("/")[2]
    named = any(fnmatch.fnmatchcase(base, pattern) for pattern in LARGE_NAMES)
    return size > 0 and (named or size > call_or_hub.large_size or b"\0" in sample)


@route("POST", "{api}/preupload/{rev}")
def preupload(call: Call) -> Answer:
    """Say of each file how it is to be uploaded, and what is there already under its name."""
    repository = _pushable(call)
    asked = call.request.json
    ignored = _patterns(asked.get("gitIgnore", ""))
    files = _base(call, repository).files
    found = []
    for file in asked["files"]:
        path, sample = file["path"], base64.b64decode(file.get("sample") or "")
        large = is_large(call.hub, path, int(file["size"]), sample)
        entry = {"path": path, "uploadMode": "lfs" if large else "regular"}
        entry["shouldIgnore"] = any(_fits(path, pattern) for pattern in ignored)
        if path in files:
            entry["oid"] = files[path].etag
        found.append(entry)
    return Answer.of({"files": found, "commitOid": _base(call, repository).sha})


@route("POST", "{api}/commit/{rev}")
def commit(call: Call) -> Answer:
    """Make one commit of all that is sent, or none."""
    repository = _pushable(call)
    base, lines = _base(call, repository), map(json.loads, call.request.body.splitlines())
    header, operations = {}, []
    for line in lines:
        if line["key"] == "header":
            header = line["value"]
        else:
            operations.append((line["key"], line["value"]))
    _check_parent(base, header.get("parentCommit"))
    files = _applied(call, base, operations)
    title, message = header.get("summary", ""), header.get("description", "")
    made = Commit(files, title, message, user_of(call), base)
    number = _placed(call, repository, made)
    url = f"{call.hub.url}/{repository.address}"
    found = {"success": True, "commitOid": made.sha, "commitUrl": f"{url}/commit/{made.sha}"}
    if number:
        found["pullRequestUrl"] = f"{url}/discussions/{number}"
    return Answer.of(found)


def _creates_pull(call: Call) -> bool:
    return call.request.query.get("create_pr", "") in ("1", "true")


def _pushable(call: Call) -> Repository:
    """Return the repository: anybody who is known may propose, only its owner may push."""
    if not _creates_pull(call):
        return writable(call)
    user_of(call, needed=True)
    repository = readable(call)
    open_to(call, repository)
    return repository


def _base(call: Call, repository: Repository) -> Commit:
    """Return the commit that a push goes upon."""
    if not repository.branches and call["rev"] == MAIN:
        return Commit({}, "")
    if not _creates_pull(call) and not repository.can_be_written(call["rev"]):
        raise no_revision(call["rev"])
    return repository.commit_of(call["rev"])


def _check_parent(base: Commit, parent: str | None) -> None:
    if parent and not base.sha.startswith(parent):
        raise Refused(412, "A commit has happened since. Please refresh and try again.")


def _applied(
    call: Call, base: Commit, operations: list[tuple[str, dict[str, Any]]]
) -> dict[str, Blob]:
    files = dict(base.files)
    for key, value in operations:
        path = value["path"]
        if key == "file":
            files[path] = Blob(_content(value), large=False)
        elif key == "lfsFile":
            files[path] = _uploaded(call, value["oid"], value.get("size"))
        elif key == "deletedFile" and path in files:
            del files[path]
        elif key == "deletedFolder" and _below(files, path):
            files = {name: files[name] for name in files.keys() - _below(files, path)}
        elif key.startswith("deleted"):
            raise no_entry(path, base.sha)
        else:
            raise Refused(400, f"Unknown operation: {key}")
    return files


def _below(files: dict[str, Blob], folder: str) -> set[str]:
    return {name for name in files if name.startswith(f"{folder.strip('/')}/")}


def _content(value: dict[str, Any]) -> bytes:
    content = value["content"].encode()
    return base64.b64decode(content) if value.get("encoding") == "base64" else content


def _uploaded(call: Call, sha256: str, size: int | None) -> Blob:
    """Return a large file that was uploaded before, by whichever way."""
    blob = call.hub.store.large.get(sha256) or (call.hub.xet and call.hub.cas.uploaded(sha256))
    if not blob or size not in (None, len(blob.data)):
        raise Refused(
            400,
            "Your push was rejected because an LFS pointer pointed to a file that does not exist.",
        )
    call.hub.store.large[sha256] = blob
    return blob


def _placed(call: Call, repository: Repository, made: Commit) -> int:
    """Move the branch to a commit, or open a pull request with it; return that one's number."""
    if not _creates_pull(call):
        repository.set_head(call["rev"], made)
        return 0
    number = len(repository.pulls) + 1
    repository.set_head(f"refs/pr/{number}", made)
    return number


def _patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _fits(path: str, pattern: str) -> bool:
    """Whether a line of a .gitignore means a path; no negation, no anchors."""
    parts = path.split("/")
    return any(fnmatch.fnmatchcase(part, pattern.strip("/")) for part in parts)
