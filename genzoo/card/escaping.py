"""Text that shows in Markdown as it is, whatever it holds."""

from __future__ import annotations

import html
import re
from typing import Any

from markupsafe import Markup

from genzoo.text_safety import visible

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$@]|(?<=\bwww)\.|:(?=//))")
_NO_CODE = re.compile(r"[`|\\]")
_TICKS = re.compile(r"`+")
_MARK = re.compile(r"^(?=<!--)", re.MULTILINE)


def escaped(text: Any) -> Markup:
    """Return text that Markdown shows as it is, in one line; what is Markdown already stays.

    >>> print(escaped("a|b\\n<i>"))
    a\\|b &lt;i&gt;
    """
    if isinstance(text, Markup):
        return text
    return Markup(_MARKDOWN.sub(r"\\\1", html.escape(_line(text), quote=False)))


def code(text: Any) -> Markup:
    """Return text as code, in one line, that a table can hold too.

    >>> print(code("latent_dim = 2"), code("a|b"))
    `latent_dim = 2` <code>a\\|b</code>
    """
    line = _line(text)
    plain = line and not _NO_CODE.search(line)
    return Markup(f"`{line}`" if plain else f"<code>{escaped(line)}</code>")


def fenced(text: str, language: str) -> Markup:
    """Return text as a block of code, whose fence is longer than any within.

    A line that would read as a mark of the card is moved by a space.
    """
    shown = _MARK.sub(" ", visible(text).strip("\n"))
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(shown)), default=0))
    return Markup(f"{fence}{language}\n{shown}\n{fence}")


def _line(text: Any) -> str:
    return visible(" ".join(str(text).split()))
