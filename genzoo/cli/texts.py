"""Texts that a terminal shows as they are, whoever wrote them."""

from __future__ import annotations

from genzoo.visible import visible


def plain(text: str) -> str:
    """Return a text in one line, without what a terminal would obey.

    >>> plain("a\\n  b\\x1b[2J")
    'a b␛[2J'
    """
    return visible(" ".join(text.split()))
