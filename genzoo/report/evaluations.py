"""The output of `genzoo evaluate --json`, field by field, including unknown fields."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genzoo.card.figures import read_note
from genzoo.errors import DataError, LoadError
from genzoo.goal import Goal, legend, mark_of, read_goal
from genzoo.parsing import strict_json
from genzoo.report.reading import Text, inside, read_text

MAX_FILES = 20
_SLACK = 60.0
_TOLD = {"value", "std_error", "kind", "unit", "notes", "provenance", "reference", "goal"}
_LIKELIHOODS = ("nats", "bits/dim")
_WORDS = {"num_samples": "samples", "interval": "between"}


@dataclass(frozen=True)
class Figure:
    """A figure in words.

    Arguments:
        name: What was measured.
        value: The figure with its standard error.
        unit: The unit.
        kind: Exact, a bound or an estimate.
        reference: A value to compare it with, and what that is; empty if there is none.
        goal: Which way it is good; None if that is not declared.
        reliable: Whether no note marks it as unreliable.
        notes: Remarks for readers.
        facts: Everything else in the file about it.
        provenance: Its own settings.
    """

    name: str
    value: str
    unit: str
    kind: str
    reference: str
    goal: Goal | None
    reliable: bool
    notes: tuple[str, ...]
    facts: Mapping[str, str]
    provenance: Mapping[str, str]

    @property
    def mark(self) -> str:
        """An arrow for which way it is good, with the best value."""
        return mark_of(self.goal)


@dataclass(frozen=True)
class StoredEvaluation:
    """One evaluation.

    Arguments:
        file: The name of its file.
        figures: Its figures.
        provenance: The shared settings.
        note: A remark about the file.
        left_out: Metrics that fit but were not computed, with reasons.
        not_applicable: Metrics that do not fit the model or the data, with reasons.
    """

    file: str
    figures: tuple[Figure, ...]
    provenance: Mapping[str, str]
    note: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    @property
    def legend(self) -> str:
        """A sentence that explains the marks of its figures."""
        return legend([figure.mark for figure in self.figures])

    @property
    def notes(self) -> dict[str, str]:
        """Each note of its figures, with the names of the figures."""
        names: dict[str, list[str]] = {}
        for figure in self.figures:
            for note in figure.notes:
                names.setdefault(note, []).append(figure.name)
        return {note: ", ".join(of) for note, of in names.items()}


def read_evaluations(
    folder: Path, named: Sequence[Path]
) -> tuple[tuple[StoredEvaluation, ...], tuple[str, ...]]:
    """Return the named evaluations and those in the folder, with notes on what was left out.

    Raises:
        DataError: A named one cannot be read.
    """
    evaluations = [_named(path) for path in named]
    seen, notes = set(map(os.path.realpath, named)), []
    paths = sorted(folder.glob("evaluation*.json"))
    names = [path.name for path in paths if os.path.realpath(path) not in seen]
    if len(names) > MAX_FILES:
        notes.append(f"Only {MAX_FILES} of {len(names):,} files evaluation*.json are shown.")
    for name in names[:MAX_FILES]:
        try:
            evaluations.append(_evaluation(read_text(folder, name), _stale(folder, name)))
        except DataError as error:
            notes.append(f"{name} was left out: {error}")
    return tuple(evaluations), tuple(notes)


def _named(path: Path) -> StoredEvaluation:
    try:
        return _evaluation(read_text(path.parent, path.name))
    except DataError as error:
        raise DataError(
            f"--evaluation {str(path)!r} cannot be shown: {error}. Give a file that genzoo "
            "evaluate DIR --json FILE wrote."
        ) from error


def _evaluation(file: Text, note: str = "") -> StoredEvaluation:
    """Return the evaluation in a file.

    Raises:
        DataError: It is not an evaluation.
    """
    if file.text is None or file.note:
        raise DataError(file.note or "there is no such file")
    try:
        stored = strict_json(file.text)
    except ValueError as error:
        raise DataError(f"it is not JSON ({error})") from error
    if not (isinstance(stored, dict) and isinstance(stored.get("figures"), dict)):
        raise DataError("it has no figures of genzoo evaluate")
    figures = [_figure(name, fields) for name, fields in stored["figures"].items()]
    figures.sort(key=lambda figure: figure.unit not in _LIKELIHOODS)
    return StoredEvaluation(
        file.name,
        tuple(figures),
        texts_of(stored.get("provenance")),
        note,
        texts_of(stored.get("left_out"), "left out"),
        texts_of(stored.get("not_applicable"), "not applicable"),
    )


def _figure(name: str, fields: Any) -> Figure:
    if not isinstance(fields, dict):
        raise DataError(f"the figure {name!r} is not an object")
    stored = fields.get("notes") or []
    notes = [read_note(note) for note in (stored if isinstance(stored, list) else [stored])]
    error = fields.get("std_error")
    rest = {k: v for k, v in fields.items() if k not in _TOLD and v is not None}
    return Figure(
        name=name,
        value=value_in_words(fields.get("value"), error),
        unit=_text(fields.get("unit") or ""),
        kind=_text(fields.get("kind") or ""),
        reliable=not any(note.unreliable for note in notes),
        notes=tuple(f"{note.code}: {note}" for note in notes),
        reference=_reference(fields.get("reference"), error),
        goal=read_goal(fields.get("goal")),
        facts={_WORDS.get(k, k): _fact(v, error) for k, v in rest.items()},
        provenance=texts_of(fields.get("provenance")),
    )


def _reference(stored: Any, error: Any) -> str:
    """Return the reference of a figure with its kind."""
    if stored is None:
        return ""
    if not isinstance(stored, dict):
        return _text(stored)
    value = _fact(stored.get("value"), error)
    return f"{value} ({_text(stored['kind'])})" if stored.get("kind") else value


def value_in_words(value: Any, error: Any) -> str:
    """Return a figure, rounded to two digits of its error.

    >>> value_in_words(-17.6512, 0.2734), value_in_words(0.5, None), value_in_words(None, 1.0)
    ('-17.65 ± 0.27', '0.5', 'not finite')
    """
    if value is None:
        return "not finite"
    if not (is_number(value) and is_number(error)) or error <= 0:
        return _fact(value, error)
    return f"{float(value):.{_digits(error)}f} ± {error:.{_digits(error)}f}"


def _fact(value: Any, error: Any) -> str:
    """Return a fact in words: numbers rounded to two digits of the error, a pair as two ends."""
    if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        return f"{_fact(float(value[0]), error)} and {_fact(float(value[1]), error)}"
    if not is_number(value):
        return _text(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.{_digits(error)}f}" if is_number(error) and error > 0 else f"{value:.6g}"


def _digits(error: float) -> int:
    return min(8, max(2, 1 - math.floor(math.log10(error))))


def is_number(value: Any) -> bool:
    """Whether a stored value is a number that can be shown."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e100


def texts_of(values: Any, name: str = "provenance") -> dict[str, str]:
    """Return stored values as texts by name, without those that are empty."""
    if not values:
        return {}
    if not isinstance(values, dict):
        return {name: _text(values)}
    return {key: _text(value) for key, value in values.items() if value not in (None, "", {})}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stale(folder: Path, name: str) -> str:
    """Return a note if an evaluation is older than the weights in the folder."""
    try:
        written = inside(folder, name).stat().st_mtime
        weights = [path.stat().st_mtime for path in folder.glob("model*.safetensors")]
    except (OSError, LoadError):
        return ""
    if weights and max(weights) > written + _SLACK:
        return "This file is older than the weights: it may evaluate an earlier model."
    return ""
