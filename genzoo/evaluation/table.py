"""Figures as lines of text, with notes and provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.estimate import Estimate
from genzoo.evaluation.choosing import by_reason
from genzoo.evaluation.provenance import METRIC, flat, in_words, shown
from genzoo.goal import legend, mark_of

_SHOWN_OF_A_HASH = 12


def lines_of(figures: Mapping[str, Estimate], provenance: Mapping[str, Any]) -> list[str]:
    """Return a line for each figure, each note once, and the provenance.

    A mark after the name says which way is good.
    Figures with equal own provenance share its line; hashes are abbreviated.
    """
    goals = [mark_of(figure.goal) for figure in figures.values()]
    width, wide = (max(map(len, texts), default=0) for texts in (figures, goals))
    notes = list(dict.fromkeys(note for figure in figures.values() for note in figure.notes))
    lines = []
    for (name, figure), goal in zip(figures.items(), goals, strict=True):
        marks = ["UNRELIABLE"] if figure.unreliable else []
        marks += [f"[{notes.index(note) + 1}]" for note in figure.notes]
        lines.append(" ".join([f"{name:<{width}}  {goal:<{wide}}  {figure.short()}", *marks]))
    lines += [legend(goals)] if goals else []
    lines += [f"[{number}] {note.code}: {note}" for number, note in enumerate(notes, 1)]
    lines.append(f"Provenance: {in_words(shown(provenance))}.")
    return [" ".join(line.splitlines()) for line in [*lines, *_own_provenance(figures)]]


def lines_of_others(left_out: Mapping[str, str], not_applicable: Mapping[str, str]) -> list[str]:
    """Return a line for each reason for left-out metrics, and one for those that do not fit.

    >>> lines_of_others({"a": "no labels", "b": "no labels"}, {"c": "for images"})
    ['Left out: a, b: no labels.', 'Not for this model and these data: c (reasons: --json).']
    """
    lines = [
        f"Left out: {', '.join(names)}: {reason.rstrip('.')}."
        for reason, names in by_reason(left_out).items()
    ]
    names = f"{', '.join(not_applicable)} (reasons: --json)"
    return [*lines, *([f"Not for this model and these data: {names}."] if not_applicable else [])]


def _own_provenance(figures: Mapping[str, Estimate]) -> list[str]:
    own = {
        name: flat(
            {key: _cut(key, v) for key, v in figure.provenance.items() if key not in METRIC}
        )
        for name, figure in figures.items()
    }
    shared = by_reason({name: text for name, text in own.items() if text})
    return [f"  {', '.join(names)}: {text}." for text, names in shared.items()]


def _cut(key: str, value: Any) -> Any:
    long = key == "sha256" and len(str(value)) > _SHOWN_OF_A_HASH
    return f"{str(value)[:_SHOWN_OF_A_HASH]}…" if long else value
