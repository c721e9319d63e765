"""Branches, tags, and what was committed."""

from __future__ import annotations

from typing import Any

from hub_server.access import readable, writable
from hub_server.answers import Answer, Refused, no_revision
from hub_server.info import page
from hub_server.routing import Call, route
from hub_server.store import MAIN, Commit


@route("POST", "{api}/branch/{rev}")
def create_branch(call: Call) -> Answer:
    """Make a branch, from the head of main or from elsewhere."""
    repository = writable(call)
    if call["rev"] in repository.branches:
        raise Refused(409, f"Reference {call['rev']} already exists")
    start = call.request.json.get("startingPoint") or MAIN
    repository.branches[call["rev"]] = repository.commit_of(start)
    return Answer.of({})


@route("DELETE", "{api}/branch/{rev}")
def delete_branch(call: Call) -> Answer:
    """Delete a branch, but not main."""
    repository = writable(call)
    if call["rev"] == MAIN:
        raise Refused(403, "Cannot delete the default branch")
    if repository.branches.pop(call["rev"], None) is None:
        raise no_revision(call["rev"])
    return Answer.of({})


@route("POST", "{api}/tag/{rev}")
def create_tag(call: Call) -> Answer:
    """Give a commit a name that stays."""
    repository, name = writable(call), call.request.json["tag"]
    if name in repository.tags:
        raise Refused(409, f"Tag reference exists already: {name}")
    repository.tags[name] = repository.commit_of(call["rev"])
    return Answer.of({})


@route("DELETE", "{api}/tag/{rev}")
def delete_tag(call: Call) -> Answer:
    """Delete a tag."""
    if writable(call).tags.pop(call["rev"], None) is None:
        raise no_revision(call["rev"])
    return Answer.of({})


@route("GET", "{api}/refs")
def refs(call: Call) -> Answer:
    """List branches and tags, and pull requests where they are asked for."""
    repository = readable(call)
    found = {
        "branches": _listed(repository.branches, "refs/heads"),
        "tags": _listed(repository.tags, "refs/tags"),
        "converts": [],
    }
    if call.request.query.get("include_prs"):
        found["pullRequests"] = _listed(repository.pulls, "refs/pr")
    return Answer.of(found)


@route("GET", "{api}/commits/{rev}")
def commits(call: Call) -> Answer:
    """List commits, newest first."""
    history = readable(call).commit_of(call["rev"]).history()
    return page(call, [_commit(one) for one in history], call.hub.page_size)


def _listed(commits: dict[str, Commit], where: str) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": f"{where}/{name}", "targetCommit": commit.sha}
        for name, commit in commits.items()
    ]


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "title": commit.title,
        "message": commit.message,
        "date": commit.when,
        "authors": [{"user": commit.user}] if commit.user else [],
    }
