"""Text escaped for Markdown."""

from __future__ import annotations

import html
import re
from typing import Any

from markupsafe import Markup

from genzoo.text_safety import one_line, visible

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$@]|(?<=\bwww)\.|:(?=//))")
_NO_CODE = re.compile(r"[`|\\]")
_TICKS = re.compile(r"`+")
_MARK = re.compile(r"^(?=<!--)", re.MULTILINE)


def escaped(text: Any) -> Markup:
    """Return text escaped for Markdown, on one line; text that is already Markdown is unchanged.

    >>> print(escaped("a|b\\n<i>"))
    a\\|b &lt;i&gt;
    """
    if isinstance(text, Markup):
        return text
    return Markup(_MARKDOWN.sub(r"\\\1", html.escape(one_line(text), quote=False)))


def code(text: Any) -> Markup:
    """Return text as inline code on one line, also valid in a table.

    >>> print(code("latent_dim = 2"), code("a|b"))
    `latent_dim = 2` <code>a\\|b</code>
    """
    line = one_line(text)
    plain = line and not _NO_CODE.search(line)
    return Markup(f"`{line}`" if plain else f"<code>{escaped(line)}</code>")


def fenced(text: str, language: str) -> Markup:
    """Return text as a block of code, with a fence longer than any inside.

    A line that looks like a mark of the card is indented by a space.
    """
    shown = _MARK.sub(" ", visible(text).strip("\n"))
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(shown)), default=0))
    return Markup(f"{fence}{language}\n{shown}\n{fence}")
