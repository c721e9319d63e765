"""Text in which nothing hides."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: object) -> str:
    r"""Return a text in which nothing is hidden: control characters and those that turn the order.

    >>> visible("a\x00b\u202ec")
    'a␀b\\u202ec'
    """
    return _UNSEEN.sub(_shown, str(text).replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"\\u{code:04x}"
