"""The page: a template in which whatever is put is text."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from genzoo.report.contents import Report

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def render(report: Report) -> str:
    """Return the HTML of a report."""
    text = resources.files("genzoo.report").joinpath("page.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(text).render(report=report)


def visible(value: Any) -> Any:
    r"""Return a text in which nothing is hidden: control characters and those that turn the order.

    >>> visible("a\x00b\u202ec")
    'a␀b\\u202ec'
    """
    if isinstance(value, Markup) or value is None:
        return value
    return _UNSEEN.sub(_shown, str(value).replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"\\u{code:04x}"
