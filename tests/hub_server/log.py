"""What was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Request:
    """One request, as it came, and the status of its answer.

    Arguments:
        method: GET, HEAD, …
        target: What stood in the request line.
        headers: By name, in lower-case letters.
        body: All of it.
        status: What was answered; 0 until then, and where the connection was broken.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0

    @property
    def raw_path(self) -> str:
        """The path, quoted as it came: a quoted slash is part of a name."""
        return urlsplit(self.target).path

    @property
    def path(self) -> str:
        """The path, unquoted, without its query."""
        return unquote(self.raw_path)

    @property
    def query(self) -> dict[str, str]:
        """The values of the query, by name."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def range(self) -> str:
        """The Range that was asked for; empty where none was."""
        return self.headers.get("range", "")

    @property
    def token(self) -> str:
        """The token that was sent; empty where none was."""
        found = re.fullmatch(r"Bearer (.*)", self.headers.get("authorization", ""))
        return found[1] if found else ""

    @property
    def json(self) -> Any:
        """The body, read as JSON; nothing where there is none."""
        return json.loads(self.body) if self.body else {}
