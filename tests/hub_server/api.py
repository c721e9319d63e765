"""Who one is, and repositories made, changed and deleted."""

from __future__ import annotations

from hub_server import card
from hub_server.access import belongs, may_write, user_of, writable
from hub_server.answers import Answer, Refused, no_repository, no_rights
from hub_server.routing import Call, route
from hub_server.store import MAIN, Blob, Commit

ATTRIBUTES = "".join(
    f"*.{ending} filter=lfs diff=lfs merge=lfs -text\n"
    for ending in (
        "bin",
        "ckpt",
        "h5",
        "msgpack",
        "npy",
        "npz",
        "onnx",
        "pt",
        "pth",
        "safetensors",
    )
)
"""What the Hub puts into each new repository."""


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Answer:
    """Say whose the token is."""
    user = user_of(call, needed=True)
    role = "read" if call.request.token in call.hub.read_only else "write"
    orgs = [name for name, members in call.hub.organisations.items() if user in members]
    return Answer.of(
        {
            "type": "user",
            "id": f"id-of-{user}",
            "name": user,
            "fullname": user.title(),
            "isPro": False,
            "orgs": [{"type": "org", "name": name, "roleInOrg": "write"} for name in orgs],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": "test", "role": role},
            },
        }
    )


@route("POST", "/api/repos/create")
def create(call: Call) -> Answer:
    """Make a repository, with a first commit."""
    type, repo_id, address = _named(call)
    asked = call.request.json
    private = asked.get("private") or asked.get("visibility") == "private"
    try:
        made = call.hub.store.create(type, repo_id, private=bool(private))
    except Refused as refused:
        url = {"url": address, "error": str(refused)}
        return Answer.of(url, 409, refused.answer.headers)
    blob = Blob(ATTRIBUTES.encode(), large=False)
    first = Commit({".gitattributes": blob}, "initial commit", user=user_of(call))
    made.set_head(MAIN, first)
    return Answer.of({"url": address, "name": repo_id, "id": f"id-of-{repo_id}"})


@route("DELETE", "/api/repos/delete")
def delete(call: Call) -> Answer:
    """Delete a repository."""
    type, repo_id, _ = _named(call)
    if call.hub.store.repositories.pop((type, repo_id), None) is None:
        raise no_repository(user_of(call))
    return Answer.of({})


@route("PUT", "{api}/settings")
def settings(call: Call) -> Answer:
    """Change who may see a repository."""
    repository, asked = writable(call), call.request.json
    if "private" in asked or "visibility" in asked:
        repository.private = bool(asked.get("private") or asked.get("visibility") == "private")
    if "gated" in asked:
        repository.gated = asked["gated"]
    return Answer.of({"private": repository.private, "gated": repository.gated})


@route("POST", "/api/validate-yaml")
def validate(call: Call) -> Answer:
    """Say what is wrong with a card; no token is needed."""
    found = card.problems(call.request.json.get("content", ""))
    errors = [{"message": message} for message in found]
    return Answer.of({"errors": errors, "warnings": []}, 400 if errors else 200)


@route("GET", "/api/(?P<type>models|datasets|spaces)")
def listing(call: Call) -> Answer:
    """List the repositories that this user may see."""
    user_of(call)
    author, search = (call.request.query.get(key, "") for key in ("author", "search"))
    found = [
        {"_id": f"id-of-{one.id}", "id": one.id, "modelId": one.id, "private": one.private}
        for one in call.hub.store.repositories.values()
        if one.type == call["type"] and author in ("", one.owner) and search in one.id
        if not one.private or belongs(call, one.owner)
    ]
    return Answer.of(found)


def _named(call: Call) -> tuple[str, str, str]:
    """Return type, name and address of the repository that a body names, which is one's own."""
    user, asked = user_of(call, needed=True), call.request.json
    owner, name = asked.get("organization") or user, asked["name"]
    type = f"{asked.get('type') or 'model'}s"
    message = f'You don\'t have the rights to create a {type[:-1]} under the namespace "{owner}"'
    may_write(call, owner, message)
    if not name or "/" in name:
        raise no_rights(message)
    prefix = "" if type == "models" else f"{type}/"
    return type, f"{owner}/{name}", f"{call.hub.url}/{prefix}{owner}/{name}"
