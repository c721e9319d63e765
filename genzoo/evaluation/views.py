"""Figures as HTML for notebooks, and as rows of a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo import markup
from genzoo.estimate import Estimate
from genzoo.evaluation.provenance import METRIC, flat, in_words, shown
from genzoo.evaluation.table import lines_of_others
from genzoo.goal import legend, mark_of

_TITLES = ("", "value", "unit", "reference", "better", "kind", "notes")
RECORD = (
    "figure",
    "value",
    "std_error",
    "unit",
    "reference",
    "reference_kind",
    "better",
    "best",
    "kind",
    "low",
    "high",
    "num_samples",
    "unreliable",
    "notes",
)
"""The columns of a figure in a data frame."""


def html_of(
    figures: Mapping[str, Estimate],
    provenance: Mapping[str, Any],
    left_out: Mapping[str, str],
    not_applicable: Mapping[str, str],
) -> str:
    """Return figures as a table, with notes below it and the provenance folded away."""
    notes = notes_of(figures.values())
    rows = [_cells(name, figure, notes) for name, figure in figures.items()]
    legends = legend([mark_of(figure.goal) for figure in figures.values()])
    texts = [legends, *numbered(notes), *lines_of_others(left_out, not_applicable)]
    own = {
        name: flat({k: v for k, v in figure.provenance.items() if k not in METRIC})
        for name, figure in figures.items()
    }
    settings = [in_words(shown(provenance)), *(f"{n}: {text}" for n, text in own.items() if text)]
    folded = markup.folded("provenance", "\n".join(settings))
    return f"<div>{markup.table(_TITLES, rows)}{paragraphs(texts)}{folded}</div>"


def paragraphs(texts: Sequence[str]) -> str:
    """Return texts as paragraphs; empty ones are left out."""
    return "".join(f"<p>{markup.escaped(text)}</p>" for text in texts if text)


def notes_of(figures: Any) -> list[Any]:
    """Return each note of figures once."""
    return list(dict.fromkeys(note for figure in figures for note in figure.notes))


def numbered(notes: Sequence[Any]) -> list[str]:
    """Return notes as lines that begin with their numbers."""
    return [f"[{number}] {note.code}: {note}" for number, note in enumerate(notes, 1)]


def _cells(name: str, figure: Estimate, notes: Sequence[Any]) -> list[object]:
    reference = figure.reference
    marks = ["UNRELIABLE"] if figure.unreliable else []
    marks += [f"[{notes.index(note) + 1}]" for note in figure.notes]
    ends = figure.interval and f", between {' and '.join(map(figure.rounded, figure.interval))}"
    return [
        name,
        figure.with_error(),
        figure.unit,
        "" if reference is None else f"{figure.rounded(reference.value)} ({reference.kind})",
        mark_of(figure.goal),
        f"{figure.kind}{ends or ''}",
        " ".join(marks),
    ]


def record(name: str, figure: Estimate) -> dict[str, Any]:
    """Return a figure as a row of a data frame."""
    low, high = figure.interval or (None, None)
    reference, goal = figure.reference, figure.goal
    values = (
        name,
        figure.value,
        figure.std_error,
        figure.unit,
        None if reference is None else reference.value,
        None if reference is None else reference.kind,
        "unknown" if goal is None else goal.direction,
        None if goal is None else goal.best,
        figure.kind,
        low,
        high,
        figure.num_samples,
        figure.unreliable,
        " ".join(map(str, figure.notes)),
    )
    return dict(zip(RECORD, values, strict=True))
