"""What is answered, and the Hub's ways of saying no, which its client reads off the headers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An answer.

    Arguments:
        status: Its status.
        headers: Its headers, besides the length.
        body: All of it, also of an answer to HEAD, which states its length only.
        start: Which byte of the file the body's first one is.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    start: int = 0

    @classmethod
    def of(cls, values: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
        """Return JSON."""
        headers = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        return cls(status, headers, json.dumps(values).encode())


class Refused(Exception):
    """The Hub says no."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        said = {"X-Error-Message": message.encode("ascii", "replace").decode(), **headers}
        said |= {"X-Error-Code": code} if code else {}
        self.answer = Answer.of({"error": message}, status, said)


def no_repository(user: str) -> Refused:
    """A repository that is not there, or that this user may not know of: the two read the same."""
    if not user:
        return Refused(401, "Invalid username or password.", "RepoNotFound")
    return Refused(404, "Repository not found", "RepoNotFound")


def no_revision(name: str) -> Refused:
    """A revision that is not there."""
    return Refused(404, f"Invalid rev id: {name}", "RevisionNotFound")


def no_entry(name: str, sha: str) -> Refused:
    """A file that is not there, in a commit that is: the client writes down that it is not."""
    headers = {"X-Repo-Commit": sha}
    return Refused(404, f"{name} does not exist on this commit", "EntryNotFound", **headers)


def gated(repo_id: str, user: str) -> Refused:
    """A repository whose files are for those whom its authors let in."""
    message = f"Access to model {repo_id} is restricted."
    return Refused(403 if user else 401, message, "GatedRepo")


def wrong_token() -> Refused:
    """A token that is unknown."""
    return Refused(401, "Invalid credentials in Authorization header")


def nobody() -> Refused:
    """No token, where one is needed."""
    return Refused(401, "Invalid username or password.")


def no_rights(message: str = "Authorization error.") -> Refused:
    """A known user who may not do this."""
    return Refused(403, message)
