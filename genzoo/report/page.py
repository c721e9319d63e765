"""The page: a template in which all values are escaped."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from genzoo.report.contents import Report
from genzoo.text_safety import visible


def render(report: Report) -> str:
    """Return the HTML of a report."""
    text = resources.files("genzoo.report").joinpath("page.html.jinja").read_text("utf-8")
    environment = Environment(
        autoescape=True,
        finalize=_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(text).render(report=report)


def _text(value: Any) -> Any:
    return value if isinstance(value, Markup) or value is None else visible(value)
