"""The curves that runs have in common, in one figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genzoo.comparison.runs import Run
from genzoo.errors import DataError
from genzoo.plotting import new_figure

_EVAL = "eval/"
_LOSS = re.compile(r"(?:\w+/)?loss")
_MAX_PANELS = 8
_WIDTH, _HEIGHT = 7.0, 2.6
Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def plot_runs(runs: Mapping[str, Run]) -> Any:
    """Return a matplotlib figure with a panel for each curve that at least two runs have.

    A run has one colour in all panels. Losses in training are thin lines, evaluations on held-out
    rows are lines with marks.

    Raises:
        DataError: No two runs have a curve in common.
    """
    panels = _panels(runs)
    if not panels:
        raise DataError(
            "No two of the runs have a curve in common: a loss of the same objective, or an "
            "evaluation on held-out rows. Their folders may hold no metrics.jsonl."
        )
    figure = new_figure(_WIDTH, _HEIGHT * len(panels) + 0.4)
    colours = {name: f"C{number % 10}" for number, name in enumerate(runs)}
    plots = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (title, curves) in zip(plots, panels.items(), strict=True):
        for (name, held_out), (steps, values) in curves.items():
            style = {"marker": "o", "markersize": 3} if held_out else {"lw": 0.8, "alpha": 0.6}
            label = f"{name}, held-out" if held_out else name
            axes.plot(steps, values, color=colours[name], label=label, **style)
        axes.set_title(title, fontsize=10, parse_math=False)
        axes.grid(alpha=0.25, lw=0.5)
        axes.tick_params(labelsize=8)
        _focus(axes, [values for _, values in curves.values()])
        legend = axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        for text in legend.get_texts():
            text.set_parse_math(False)
    plots[-1].set_xlabel("updates", fontsize=9)
    return figure


def _panels(runs: Mapping[str, Run]) -> dict[str, dict[tuple[str, bool], Points]]:
    """Return the curves of each panel, by run and whether they are of held-out rows."""
    panels: dict[str, dict[tuple[str, bool], Points]] = {}
    for name, run in runs.items():
        before = _before(run.log.last)
        for (stage, key), series in run.log.series.items():
            title = _title(run, stage, key)
            if title is not None:
                steps = np.asarray(series.steps, np.float64) + before[stage]
                points = steps, np.asarray(series.values, np.float64)
                place, panel = (name, key.startswith(_EVAL)), panels.setdefault(title, {})
                # The stages of a run that have one objective are one curve.
                panel[place] = _appended(panel.get(place), points)
    shared = {t: p for t, p in panels.items() if len({name for name, _ in p}) > 1}
    return dict(list(shared.items())[:_MAX_PANELS])


def _title(run: Run, stage: int, key: str) -> str | None:
    """Return the panel of a column; None if it is not drawn.

    A loss means something else to another objective. The figures of metrics mean the same.
    """
    name = key.removeprefix(_EVAL)
    if _LOSS.fullmatch(name):
        if stage >= len(run.objectives):
            return None
        player, _, loss = name.rpartition("/")
        only = f" of {player}" if player not in ("", "model") else ""
        return f"{loss}{only} ({run.objectives[stage]})"
    # What an objective logs with its loss has no player in the evaluations.
    logged = {k.rpartition("/")[2] for _, k in run.log.series if not k.startswith(_EVAL)}
    if key.startswith(_EVAL) and name.rpartition("/")[2] in logged:
        return f"{name} ({run.objectives[stage]})" if stage < len(run.objectives) else None
    return name if key.startswith(_EVAL) else None


def _before(last: Mapping[int, int]) -> dict[int, int]:
    """Return the number of updates before each stage."""
    return {stage: sum(num for other, num in last.items() if other < stage) for stage in last}


def _appended(first: Points | None, second: Points) -> Points:
    if first is None:
        return second
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _focus(axes: Any, curves: list[NDArray[np.float64]]) -> None:
    """Leave out the first values of a curve if they are so large that the rest would be flat."""
    ends = np.concatenate([values[len(values) // 10 :] for values in curves])
    ends = ends[np.isfinite(ends)]
    if len(ends) < 2:
        return
    low, high = ends.min(), ends.max()
    room = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
