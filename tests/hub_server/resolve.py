"""Files fetched: small ones from the Hub itself, large ones from the storage behind it."""

from __future__ import annotations

import mimetypes
import re
from urllib.parse import quote

from hub_server.access import open_to, readable
from hub_server.answers import Answer, Refused, no_entry
from hub_server.routing import Call, route
from hub_server.store import Blob, Commit, Repository


@route("GET", "{site}/resolve/{rev}/{path}")
def resolve(call: Call) -> Answer:
    """Send a small file, or say where a large one is."""
    repository, commit, blob = _asked_for(call)
    headers = {"X-Repo-Commit": commit.sha}
    if blob.large:
        return _elsewhere(call, repository, commit, blob, headers)
    type = mimetypes.guess_type(call["path"])[0] or "text/plain"
    return part_of(call, blob, {**headers, "Content-Type": type})


@route("GET", "{site}/raw/{rev}/{path}")
def raw(call: Call) -> Answer:
    """Send what git holds of a file: of a large one, the pointer to it."""
    _, commit, blob = _asked_for(call)
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.oid}"', "Content-Type": "text/plain"}
    return Answer(200, headers, blob.pointer)


@route("GET", "/cdn/(?P<oid>[0-9a-f]{64})/{path}")
def stored(call: Call) -> Answer:
    """Send a large file to the holder of its signed address; a token is not wanted here."""
    blob = call.hub.store.large.get(call["oid"])
    if blob is None:
        raise Refused(404, "NoSuchKey")
    headers = {"Content-Type": "binary/octet-stream"}
    if call.hub.same_origin and "commit" in call.request.query:
        headers["X-Repo-Commit"] = call.request.query["commit"]
    return part_of(call, blob, headers)


def part_of(call: Call, blob: Blob, headers: dict[str, str]) -> Answer:
    """Return a file, or the part of it that is asked for."""
    data, headers = blob.data, {"ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes", **headers}
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", call.request.range)
    if not found or not any(found.groups()):
        return Answer(200, headers, data)
    first, last = _ends(found[1], found[2], len(data))
    if first > last:
        raise Refused(416, "Range not satisfiable", **{"Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Answer(206, headers, data[first : last + 1], first)


def _asked_for(call: Call) -> tuple[Repository, Commit, Blob]:
    """Return the file that is asked for, with where it is."""
    repository = readable(call)
    open_to(call, repository)
    commit = repository.commit_of(call["rev"])
    blob = commit.files.get(call["path"])
    if blob is None:
        raise no_entry(call["path"], commit.sha)
    return repository, commit, blob


def _ends(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last or size), size - 1)


def _elsewhere(
    call: Call, repository: Repository, commit: Commit, blob: Blob, headers: dict[str, str]
) -> Answer:
    """Send the caller to the storage, and say what there is to know beforehand."""
    name = call["path"].rpartition("/")[2]
    query = f"commit={commit.sha}" if call.hub.same_origin else ""
    headers |= {
        "Location": call.hub.signed(f"/cdn/{blob.sha256}/{quote(name)}", query),
        "ETag": f'"{blob.oid}"',
        "X-Linked-Size": str(len(blob.data)),
        "X-Linked-ETag": f'"{blob.sha256}"',
    }
    if call.hub.xet:
        where = f"{call.hub.url}/api/{repository.type}/{repository.id}/xet-read-token/{commit.sha}"
        headers |= {"X-Xet-Hash": call.hub.cas.hash_of(blob), "X-Xet-Refresh-Route": where}
        headers["Link"] = f'<{where}>; rel="xet-auth"'
    return Answer(302, headers, b"Found. Redirecting")
