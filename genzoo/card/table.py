"""Figures as a table of Markdown, with notes and provenance below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from genzoo.card.escaping import escaped
from genzoo.card.figures import NOT_FINITE, Figure
from genzoo.evaluation.provenance import in_words, shown
from genzoo.goal import legend, mark_of

_ELSEWHERE = ("data", "source", "split", "data_config")
_UNBOUNDED = ("−∞", "∞")


def table(figures: Sequence[Figure]) -> Markup:
    """Return a row for each figure, then each note and each provenance once.

    All values are escaped.
    """
    provenances = list(dict.fromkeys(map(_provenance, figures)))
    lines = [
        "| figure | better | value | kind | data | provenance |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for figure in figures:
        number = provenances.index(_provenance(figure)) + 1
        data = figure.provenance.get("data", "")
        cells = [figure.name, mark_of(figure.goal), _value(figure), _kind(figure), data, number]
        lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
    notes = [f"- {escaped(note)} ({escaped(names)})" for note, names in _notes(figures).items()]
    lines += ["", legend([mark_of(figure.goal) for figure in figures])]
    lines += ["", *notes] if notes else []
    lines += ["", "Provenance:", ""]
    lines += [f"{number}. {escaped(text)}" for number, text in enumerate(provenances, 1)]
    return Markup("\n".join(lines))


def _value(figure: Figure) -> str:
    error = _number(figure.facts.get("std_error"))
    return f"{figure.shown_value}{error and f' ± {error}'} {figure.facts.get('unit', '')}".strip()


def _kind(figure: Figure) -> str:
    """Return a figure's kind, interval and reference, and whether it is unreliable."""
    facts, parts = figure.facts, []
    if any(note.unreliable for note in figure.notes):
        parts.append("UNRELIABLE")
    parts.append(str(facts.get("kind", "")))
    parts.append(_interval(facts.get("interval")))
    if isinstance(reference := facts.get("reference"), Mapping):
        parts.append(f"{reference.get('kind', '')} {_number(reference.get('value'))}".strip())
    return ", ".join(text for text in parts if text)


def _interval(ends: Any) -> str:
    """Return an untrusted interval as text; an end that is not finite is unbounded."""
    if not isinstance(ends, (list, tuple)) or len(ends) != len(_UNBOUNDED):
        return ""
    shown = [
        unbounded if end in (None, NOT_FINITE) else _number(end)
        for end, unbounded in zip(ends, _UNBOUNDED, strict=True)
    ]
    return f"between {' and '.join(shown)}"


def _notes(figures: Sequence[Figure]) -> dict[str, str]:
    """Return each note with the names of its figures."""
    names: dict[str, list[str]] = {}
    for figure in figures:
        for note in figure.notes:
            names.setdefault(f"{note.code}: {note}", []).append(figure.name)
    return {note: ", ".join(dict.fromkeys(of)) for note, of in names.items()}


def _provenance(figure: Figure) -> str:
    """Return the provenance as text, or a text that there is none."""
    kept = {key: value for key, value in figure.provenance.items() if key not in _ELSEWHERE}
    return in_words(shown(kept)) or "none"


def _number(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.4g}" if number else str(value if value is not None else "")
