"""Untrusted text made safe to show in terminals, cards, reports and errors."""

from __future__ import annotations

import re
import unicodedata

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Invisible letters and marks of Unicode, which can hide text."""


def visible(text: object) -> str:
    r"""Return a text without hidden characters, which a terminal shows as it is.

    Characters that are not printed are named: control characters, those that change the direction
    of text, zero-width ones, tags, variation selectors, lone surrogates, and unassigned ones.
    Spaces, tabs and line feeds stay.

    >>> visible("a\x00b\u202ec\u200bd\U000e0041")
    'a␀b\\u202ec\\u200bd\\U000e0041'
    """
    given = str(text).replace("\r\n", "\n")
    if given.isprintable() and not _BLANK.search(given):
        return given
    return "".join(map(_shown, given))


def one_line(text: object) -> str:
    """Return a text on one line, without hidden characters.

    >>> one_line("a\\n  b\\x1b[2J")
    'a b␛[2J'
    """
    return visible(" ".join(str(text).split()))


def _shown(character: str) -> str:
    if _is_seen(character):
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_seen(character: str) -> bool:
    """Whether a character is visible, or an ordinary space."""
    if character.isprintable():
        return not _BLANK.match(character)
    return character in "\n\t" or unicodedata.category(character) == "Zs"
