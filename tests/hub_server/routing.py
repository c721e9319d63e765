"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hub_server.answers import Answer
from hub_server.log import Request

if TYPE_CHECKING:
    from hub_server.server import HubServer

_PARTS = {
    "{api}": r"/api/(?P<type>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)",
    "{site}": r"/(?:(?P<type>datasets|spaces)/)?(?P<repo>[^/]+/[^/]+)",
    "{rev}": r"(?P<rev>refs/(?:pr|convert)/[^/]+|(?!refs/(?:pr|convert)/)[^/]+)",
    "{path}": r"(?P<path>.+)",
}


@dataclass(frozen=True)
class Call:
    """A request, the Hub that it came to, and the names that were found in its path."""

    hub: HubServer
    request: Request
    names: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.names.get(name, "")


Handler = Callable[[Call], Answer]
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register the function for a method and a path; {api}, {site}, {rev}, {path} stand in it."""
    for part, meaning in _PARTS.items():
        pattern = pattern.replace(part, meaning)

    def register(handler: Handler) -> Handler:
        _ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return register


def find(request: Request) -> tuple[Handler, dict[str, str]] | None:
    """Return the function for a request and the names in its path, unquoted; None if none fits."""
    method = "GET" if request.method == "HEAD" else request.method
    for wanted, pattern, handler in _ROUTES:
        if wanted == method and (found := pattern.fullmatch(request.raw_path)):
            names = {name: unquote(value or "") for name, value in found.groupdict().items()}
            return handler, names
    return None
