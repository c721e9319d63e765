"""Datasets as text, and as HTML with a picture of the first rows for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from genzoo import showing
from genzoo.errors import GenzooError
from genzoo.markup import escaped, facts
from genzoo.notebook import base64_png
from genzoo.text_safety import visible

if TYPE_CHECKING:
    from genzoo.data.dataset import Dataset
    from genzoo.spaces import Space

_ROWS = 16
_CLASSES = 10
"""The maximum number of names of classes that are shown."""
_MOST = 200
"""The maximum number of characters of a text that is shown."""


def line_of(dataset: Dataset) -> str:
    """Return a dataset as one line: its name, split, rows, fields and notes."""
    parts = [f"{len(dataset)} {'row' if len(dataset) == 1 else 'rows'}"]
    parts += [f"{name}: {_described(space)}" for name, space in dataset.info.fields.items()]
    parts += [_short(note).rstrip(".") for note in dataset.notes]
    title = type(dataset).__name__
    split = f", split {dataset.split!r}" if dataset.split else ""
    return visible(f"{title}({_short(dataset.name)!r}{split}; {'; '.join(parts)})").replace(
        "\n", " "
    )


def html_of(dataset: Dataset) -> str:
    """Return a dataset as HTML: its fields, its notes, and the first rows as a picture."""
    found = {"rows": f"{len(dataset):,}", "split": dataset.split}
    found |= {name: _described(space) for name, space in dataset.info.fields.items()}
    notes = "".join(f"<li>{escaped(note)}</li>" for note in dataset.notes)
    notes = f"<ul>{notes}</ul>" if notes else ""
    return (
        f"<div><strong>{escaped(dataset.name)}</strong>{facts(found)}{notes}"
        f"{''.join(_first_rows(dataset))}</div>"
    )


def _described(space: Space) -> str:
    """Return a space in words, with the first names of classes."""
    names = space.value_names()
    if not names or space.event_shape:
        return space.describe()
    first = [_short(name) for name in names[:_CLASSES]]
    return f"{space.describe()} ({', '.join([*first, '…'] if len(names) > _CLASSES else first)})"


def _first_rows(dataset: Dataset) -> Iterator[str]:
    """Yield the first rows as HTML, or one sentence if they cannot be read or shown."""
    try:
        batch = dataset.head(_ROWS)
    except GenzooError as error:
        yield f"<p>{escaped(error)}</p>"
        return
    for name, space in dataset.info.fields.items():
        yield _values(name, space, batch)


def _values(name: str, space: Any, batch: Mapping[str, Any]) -> str:
    """Return the values of a field: as a picture if they have a shape, else as text."""
    if name not in batch:
        return ""
    if space.event_shape:
        return _picture(name, space, batch[name])
    lines = space.lines(batch[name])
    shown = ", ".join(_short(line) for line in lines or ())
    return f"<p>{escaped(name)}: {escaped(shown)}</p>" if shown else ""


def _picture(name: str, space: Any, rows: Any) -> str:
    if not showing.can_be_shown(space):
        return ""
    data = base64_png(showing.picture_of(space, rows))
    title = escaped(f"the first rows of {name}")
    return f'<img alt="{title}" title="{title}" src="data:image/png;base64,{data}">'


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
