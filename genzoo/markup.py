"""HTML for notebooks: untrusted texts are escaped, and colours are those of the notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from genzoo.text_safety import visible


def escaped(text: object) -> str:
    """Return a text as HTML, with hidden characters made visible.

    >>> escaped("<b>")
    '&lt;b&gt;'
    """
    return html.escape(visible(text))


def facts(values: Mapping[str, object]) -> str:
    """Return a table of facts by title; empty ones are left out."""
    style = ' style="text-align: left; vertical-align: top"'
    rows = (
        f"<tr><th{style}>{escaped(title)}</th><td{style}>{escaped(value)}</td></tr>"
        for title, value in values.items()
        if value not in ("", None)
    )
    return f"<table>{''.join(rows)}</table>"


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table with a row of titles."""
    head = "".join(f"<th>{escaped(title)}</th>" for title in titles)
    body = "".join(
        f"<tr>{''.join(f'<td>{escaped(value)}</td>' for value in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def folded(title: str, text: str) -> str:
    """Return a text that is shown when its title is clicked."""
    style = "white-space: pre-wrap; font-family: monospace"
    return (
        f"<details><summary>{escaped(title)}</summary>"
        f'<div style="{style}">{escaped(text)}</div></details>'
    )
