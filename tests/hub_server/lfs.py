"""Large files uploaded by git LFS: asked for in a batch, then put to the storage."""

from __future__ import annotations

import hashlib
from typing import Any

from hub_server.access import open_to, readable, user_of
from hub_server.answers import Answer, Refused
from hub_server.routing import Call, route
from hub_server.store import Blob


@route("POST", r"{site}\.git/info/lfs/objects/batch")
def batch(call: Call) -> Answer:
    """Say of each object where it is put or fetched; of one that is there, nothing is needed."""
    repository, asked = readable(call), call.request.json
    user_of(call, needed=True)
    open_to(call, repository)
    if call.hub.xet and "xet" in asked.get("transfers", []):
        return Answer.of({"transfer": "xet", "objects": asked["objects"]})
    way = _up if asked["operation"] == "upload" else _down
    git = f"{call.hub.url}/{repository.address}.git/info/lfs/objects"
    found = [way(call, one["oid"], int(one["size"]), git) for one in asked["objects"]]
    parts = any("chunk_size" in _header(one) for one in found)
    return Answer.of({"transfer": "multipart" if parts else "basic", "objects": found})


@route("POST", r"{site}\.git/info/lfs/objects/verify")
def verify(call: Call) -> Answer:
    """Confirm that an object arrived."""
    found = call.hub.store.large.get(call.request.json["oid"])
    if found is None or len(found.data) != call.request.json["size"]:
        raise Refused(404, "Object does not exist")
    return Answer.of({})


@route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})")
def put(call: Call) -> Answer:
    """Take a whole object; a damaged one is refused."""
    return _kept(call, call["oid"], call.request.body)


@route("PUT", "/lfs/(?P<oid>[0-9a-f]{64})/(?P<part>[0-9]+)")
def put_part(call: Call) -> Answer:
    """Take a part of an object."""
    call.hub.parts[call["oid"], int(call["part"])] = call.request.body
    etag = hashlib.md5(call.request.body, usedforsecurity=False).hexdigest()
    return Answer(200, {"ETag": f'"{etag}"'})


@route("POST", "/lfs/(?P<oid>[0-9a-f]{64})/complete")
def complete(call: Call) -> Answer:
    """Put the parts of an object together."""
    numbers = [part["partNumber"] for part in call.request.json["parts"]]
    try:
        parts = [call.hub.parts[call["oid"], number] for number in numbers]
    except KeyError:
        raise Refused(400, "A part is missing") from None
    return _kept(call, call["oid"], b"".join(parts))


def _kept(call: Call, oid: str, data: bytes) -> Answer:
    blob = Blob(data, large=True)
    if blob.sha256 != oid:
        raise Refused(400, "The object is not the one that was announced")
    call.hub.store.large[oid] = blob
    return Answer.of({"ok": True}, headers={"ETag": f'"{oid}"'})


def _up(call: Call, oid: str, size: int, git: str) -> dict[str, Any]:
    found: dict[str, Any] = {"oid": oid, "size": size}
    if oid in call.hub.store.large:
        return found
    upload = {"href": call.hub.signed(f"/lfs/{oid}")}
    if call.hub.part_size and size > call.hub.part_size:
        upload = _in_parts(call, oid, size)
    found["actions"] = {"upload": upload, "verify": {"href": f"{git}/verify"}}
    return {**found, "authenticated": True}


def _in_parts(call: Call, oid: str, size: int) -> dict[str, Any]:
    count = -(-size // call.hub.part_size)
    urls = {str(n): call.hub.signed(f"/lfs/{oid}/{n}") for n in range(1, count + 1)}
    header = {"chunk_size": str(call.hub.part_size), **urls}
    return {"href": call.hub.signed(f"/lfs/{oid}/complete"), "header": header}


def _down(call: Call, oid: str, size: int, git: str) -> dict[str, Any]:
    href = call.hub.signed(f"/cdn/{oid}/{oid}")
    return {"oid": oid, "size": size, "actions": {"download": {"href": href}}}


def _header(entry: dict[str, Any]) -> dict[str, str]:
    return entry.get("actions", {}).get("upload", {}).get("header", {})
