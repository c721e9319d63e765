"""A figure of the curves of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genzoo.errors import ConfigError, suggest
from genzoo.plotting import new_figure

_EVAL = "eval/"
_POSITION = ("stage", "step")


def plot_history(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> Any:
    """Return a matplotlib figure of columns of the rows, a panel for each.

    A column and its evaluation on held-out rows share a panel. The steps of a stage follow those
    of the stage before.

    Arguments:
        rows: The rows of a history.
        names: The columns; by default the losses and what was evaluated.

    Raises:
        ConfigError: There is no such column, or there are no rows.
    """
    known = list(dict.fromkeys(name for row in rows for name in row if name not in _POSITION))
    for name in names:
        if name not in known:
            raise ConfigError(f"The history has no column {name!r}. {suggest(name, known)}")
    chosen = list(names) or [n for n in known if n.endswith("/loss") or n.startswith(_EVAL)]
    if not chosen:
        raise ConfigError("The history has no curves yet. Call fit first, or name its columns.")
    panels: dict[str, list[str]] = {}
    for name in chosen:
        panels.setdefault(_panel(name, known), []).append(name)
    width = 1 if len(panels) == 1 else 2
    height = -(-len(panels) // width)
    figure = new_figure(4.5 * width, 2.5 * height)
    starts = _starts(rows)
    places = figure.subplots(height, width, squeeze=False).flatten()
    for axes in places[len(panels) :]:
        axes.remove()
    for axes, (title, columns) in zip(places, panels.items(), strict=False):
        for name in columns:
            points = [(starts[r["stage"]] + r["step"], r[name]) for r in rows if _has(r, name)]
            marker = "o" if name.startswith(_EVAL) else ""
            axes.plot(*zip(*points, strict=True), label=name, marker=marker, markersize=3)
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=8)
        axes.set_xlabel("updates")
    return figure


def _has(row: Mapping[str, Any], name: str) -> bool:
    return row.get(name) is not None


def _panel(name: str, known: Iterable[str]) -> str:
    """Return the panel of a column: an evaluation's is that of what it evaluates."""
    if name.startswith(_EVAL):
        return name.removeprefix(_EVAL)
    player, _, alone = name.partition("/")
    # The evaluation of a single player does not name it.
    return alone if player and f"{_EVAL}{alone}" in known else name


def _starts(rows: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Return the number of updates before each stage."""
    steps: dict[int, int] = {}
    for row in rows:
        steps[row["stage"]] = max(row["step"], steps.get(row["stage"], 0))
    stages = sorted(steps)
    return {stage: sum(steps[other] for other in stages if other < stage) for stage in stages}
