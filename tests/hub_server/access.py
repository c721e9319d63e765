"""Who asks, and what they may see and do."""

from __future__ import annotations

from hub_server.answers import gated, no_repository, no_rights, nobody, wrong_token
from hub_server.routing import Call
from hub_server.store import Repository


def user_of(call: Call, *, needed: bool = False) -> str:
    """Return the user whose token was sent; empty where none was.

    Raises:
        Refused: The token is unknown, or there is none and one is needed.
    """
    token = call.request.token
    if not token and needed:
        raise nobody()
    if token and token not in call.hub.tokens:
        raise wrong_token()
    return call.hub.tokens.get(token, "")


def readable(call: Call) -> Repository:
    """Return the repository that a call names.

    Raises:
        Refused: It is not there, or it is private and not this user's.
    """
    user = user_of(call)
    found = call.hub.store.find(call["type"] or "models", call["repo"])
    if found is None or (found.private and not belongs(call, found.owner)):
        raise no_repository(user)
    return found


def writable(call: Call) -> Repository:
    """Return the repository that a call names and changes.

    Raises:
        Refused: It is not there, or this user, or this token, may not change it.
    """
    found = readable(call)
    may_write(call, found.owner)
    return found


def open_to(call: Call, repository: Repository) -> None:
    """Refuse the files of a gated repository to those who were not let in."""
    user = user_of(call)
    inside = user in repository.allowed or belongs(call, repository.owner)
    if repository.gated and not inside:
        raise gated(repository.id, user)


def may_write(call: Call, owner: str, message: str = "Authorization error.") -> None:
    """Refuse those who may not change what belongs to ``owner``."""
    user_of(call, needed=True)
    if not belongs(call, owner) or call.request.token in call.hub.read_only:
        raise no_rights(message)


def belongs(call: Call, owner: str) -> bool:
    """Whether what is ``owner``'s is this user's, be it through an organisation."""
    user = user_of(call)
    return bool(user) and (user == owner or user in call.hub.organisations.get(owner, ()))
