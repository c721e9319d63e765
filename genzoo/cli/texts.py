"""Texts that a terminal shows as they are, whoever wrote them."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a text in one line, without what a terminal would obey.

    >>> plain("a\\n  b\\x1b[2J")
    'a b\ufffd[2J'
    """
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
