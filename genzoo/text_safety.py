"""Text in which nothing hides, whoever wrote it: for terminals, cards, reports and errors."""

from __future__ import annotations

import re
import unicodedata

_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks of Unicode that leave no trace, in which a text can be hidden."""


def visible(text: object) -> str:
    r"""Return a text in which nothing is hidden, and that a terminal shows as it is.

    What is not printed is named: control characters, those that turn the order, those of no
    width, tags, variation selectors, lone surrogates, and what is not assigned. Spaces, tabs and
    line feeds stay.

    >>> visible("a\x00b\u202ec\u200bd\U000e0041")
    'a␀b\\u202ec\\u200bd\\U000e0041'
    """
    given = str(text).replace("\r\n", "\n")
    if given.isprintable() and not _BLANK.search(given):
        return given
    return "".join(map(_shown, given))


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
    """Whether a character leaves a trace, or is a space that is known to be one."""
    if character.isprintable():
        return not _BLANK.match(character)
    return character in "\n\t" or unicodedata.category(character) == "Zs"
