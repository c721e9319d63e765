"""The table of a comparison: a row for each figure, a column for each run."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from genzoo import markup
from genzoo.comparison.runs import Run
from genzoo.estimate import Estimate
from genzoo.evaluation import Evaluation
from genzoo.evaluation.provenance import in_words, shown
from genzoo.evaluation.views import notes_of, numbered, paragraphs, record
from genzoo.goal import legend, mark_of

_SIDES = {"lower bound": "≥", "upper bound": "≤", "stochastic estimate": "~", "exact": ""}
"""The mark of the kind of a figure: the truth is above, below, or near it."""
_WORDS = {"≥": "≥ a lower bound", "≤": "≤ an upper bound", "~": "~ a stochastic estimate"}
_BAD = "!"
_MAX_DIGITS = 4
_MAX_TITLE = 16
"""A run with a longer name has a number in the table."""
_MAX_NAME = 24
"""A longer name has a line of its own."""
_GAP = "  "
Differences = Mapping[tuple[str, str], Estimate]


def text_of(
    runs: Mapping[str, Run],
    evaluations: Mapping[str, Evaluation],
    differences: Differences,
    notes: Collection[str],
    width: int,
) -> str:
    """Return the runs, their table, the differences and the notes as lines of text."""
    long = {name: f"[{i}]" for i, name in enumerate(runs, 1) if len(name) > _MAX_TITLE}
    named = {name: f"{long[name]} {name}" if name in long else name for name in runs}
    lines = [f"{named[name]} ({_about(run)})" for name, run in runs.items()]
    titled = {long.get(name, name): evaluation for name, evaluation in evaluations.items()}
    lines += ["", *_wrapped(_columns(titled), width), ""]
    lines += [
        wrapped
        for line in _below(evaluations, differences, notes)
        for wrapped in textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)
    ]
    return "\n".join(line.rstrip() for line in lines)


def html_of(
    runs: Mapping[str, Run],
    evaluations: Mapping[str, Evaluation],
    differences: Differences,
    notes: Collection[str],
) -> str:
    """Return the same as HTML for notebooks."""
    columns = _columns(evaluations)
    titles = [column[0] for column in columns]
    rows = zip(*(column[1:] for column in columns), strict=True)
    about = markup.facts({name: _about(run) for name, run in runs.items()})
    texts = _below(evaluations, differences, notes)
    return f"<div>{about}{markup.table(titles, rows)}{paragraphs(texts)}</div>"


def records(evaluations: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """Return a row for each figure of each run."""
    return [
        {"run": name, **record(*figure)}
        for name, evaluation in evaluations.items()
        for figure in evaluation.figures.items()
    ]


def _about(run: Run) -> str:
    return f"{run.family}, {run.parameters:,} parameters"


def _columns(evaluations: Mapping[str, Evaluation]) -> list[list[str]]:
    """Return the columns of the table, each with its title: names, goals, references, runs."""
    of: dict[str, list[Estimate]] = {}
    for evaluation in evaluations.values():
        for name, figure in evaluation.figures.items():
            of.setdefault(name, []).append(figure)
    columns = [["", *of], ["", *(mark_of(figures[0].goal) for figures in of.values())]]
    references = [_reference(figures) for figures in of.values()]
    columns += [["reference", *references]] if any(references) else []
    for run, evaluation in evaluations.items():
        columns.append([run, *(_cell(evaluation.figures.get(name)) for name in of)])
    return columns


def _cell(figure: Estimate | None) -> str:
    """Return a figure with its error, to two digits of the error.

    >>> from genzoo.estimate import mean_of
    >>> import torch
    >>> _cell(mean_of(torch.tensor([19.0, 26.0]), "lower bound"))
    '≥22.5±3.5'
    """
    if figure is None:
        return "·"
    value, error = (_rounded(number, figure) for number in (figure.value, figure.std_error))
    return f"{_SIDES[figure.kind]}{value}±{error}{_BAD if figure.unreliable else ''}"


def _rounded(number: float, figure: Estimate) -> str:
    error = figure.std_error
    small = math.isfinite(error) and error > 0
    digits = min(_MAX_DIGITS, max(0, 1 - math.floor(math.log10(error)))) if small else 2
    return f"{number:.{digits}f}"


def _reference(figures: Sequence[Estimate]) -> str:
    """Return the reference that the figures of all runs share; empty if they do not."""
    given = [(figure.reference.value, figure) for figure in figures if figure.reference]
    same = {value for value, _ in given}
    return _rounded(*given[0]) if len(same) == 1 else ""


def _wrapped(columns: list[list[str]], width: int) -> list[str]:
    """Return the rows of columns as lines; runs that do not fit get a table below."""
    head, runs = columns[:2], columns[2:]
    free = width - min(_MAX_NAME, _width(head[0])) - len(_GAP) - _width(head[1])
    lines: list[str] = []
    while runs:
        ends = list(itertools.accumulate(len(_GAP) + _width(run) for run in runs))
        num = max(1, sum(end <= free for end in ends))
        lines += [*([""] if lines else []), *_lines(head, runs[:num])]
        runs = runs[num:]
    return lines


def _width(column: Sequence[str]) -> int:
    return max(map(len, column))


def _lines(head: list[list[str]], runs: list[list[str]]) -> list[str]:
    """Return a table as lines: names and goals to the left, numbers to the right."""
    name_width, widths = min(_MAX_NAME, _width(head[0])), [_width(column) for column in runs]
    lines = []
    for name, goal, *cells in zip(*head, *runs, strict=True):
        aligned = [f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True)]
        values = [f"{goal:<{_width(head[1])}}", *aligned]
        short = name if len(name) <= name_width else ""
        lines += [] if short == name else [name]
        lines.append(_GAP.join([f"{short:<{name_width}}", *values]))
    return lines


def _below(
    evaluations: Mapping[str, Evaluation], differences: Differences, notes: Collection[str]
) -> list[str]:
    """Return the lines below the table: legend, differences, notes and rows."""
    figures = [figure for e in evaluations.values() for figure in e.figures.values()]
    sides = dict.fromkeys(_SIDES[figure.kind][:1] for figure in figures)
    words = [_WORDS[side] for side in sides if side]
    words += [f"{_BAD} unreliable"] if any(figure.unreliable for figure in figures) else []
    lines = [legend([mark_of(figure.goal) for figure in figures])]
    lines += [f"{', '.join(words)}."] if words else []
    unreliable = [note for note in notes_of(figures) if note.unreliable]
    lines += [f"{_BAD} {note.code}: {note}" for note in unreliable]
    if differences:
        lines += ["Differences of log-likelihoods on the same rows, in nats:"]
        listed = notes_of(differences.values())
        for (a, b), figure in differences.items():
            marks = "".join(f" [{listed.index(note) + 1}]" for note in figure.notes)
            lines.append(f"  {a} − {b}  {figure.short()}{marks}")
        lines += [f"  {line}" for line in numbered(listed)]
    lines += notes
    return [*lines, *_rows(evaluations)]


def _rows(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return the data and rows of the figures, which all runs share."""
    keys = ("data", "examples", "examples_of", "draw", "examples_of_y", "draw_y", "seed")
    for evaluation in evaluations.values():
        given = {key: evaluation.provenance[key] for key in keys if key in evaluation.provenance}
        return [f"Rows: {in_words(shown(given))}."]
    return []
