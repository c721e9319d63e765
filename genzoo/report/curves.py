"""Curves as inline SVG, in the colours of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from genzoo.meaning import Meaning
from genzoo.plotting import new_figure
from genzoo.report.log import Series

MAX_POINTS = 400
GROUPS = 150
_DECADES = 100.0
_COLOURS = {
    "#010203": "var(--accent)",
    "#040506": "var(--muted)",
    "#070809": "var(--line)",
    "#0a0b0c": "var(--second)",
}
ACCENT, INK, GRID, SECOND = _COLOURS
_PLAIN = {
    "svg.fonttype": "none",
    "svg.hashsalt": "genzoo",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GRID,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.formatter.limits": [-3, 5],
}
_UNUSED = re.compile(
    r"<defs>\s*<style.*?</style>\s*</defs>|\s(?:id|width|height|version|xmlns[:\w]*)=\"[^\"]*\"",
    re.DOTALL,
)


@dataclass(frozen=True)
class Curve:
    """The picture of a metric, with a description.

    Arguments:
        name: The metric.
        last: Its last value.
        facts: The minimum, the maximum, and how it is drawn.
        picture: The SVG.
        meaning: What it is; None if that is not declared.
        held_out: The last value on the held-out rows, which the picture shows too; empty if there
            is none.
    """

    name: str
    last: str
    facts: tuple[str, ...]
    picture: Markup
    meaning: Meaning | None = None
    held_out: str = ""


@dataclass(frozen=True)
class Thinned:
    """The points of a series to draw: all, or the mean and the range of groups of neighbours.

    Arguments:
        steps: (N,), the steps.
        mean: (N,), the values or the means.
        low: (N,), the minimum of each group.
        high: (N,), the maximum of each group.
        size: The number of values per group; 1 if all are drawn.
    """

    steps: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    size: int


def thin(steps: NDArray[np.float64], values: NDArray[np.float64]) -> Thinned:
    """Keep all values, or the means and ranges of `GROUPS` groups if there are over `MAX_POINTS`.

    Arguments:
        steps: (N,), in the order of the log.
        values: (N,), finite.
    """
    if len(values) <= MAX_POINTS:
        return Thinned(steps, values, values, values, 1)
    edges = np.linspace(0, len(values), GROUPS + 1).astype(int)
    count, first = np.diff(edges), edges[:-1]
    return Thinned(
        np.add.reduceat(steps, first) / count,
        np.add.reduceat(values, first) / count,
        np.minimum.reduceat(values, first),
        np.maximum.reduceat(values, first),
        int(count.max()),
    )


def draw(
    series: Series,
    held_out: Series | None = None,
    meaning: Meaning | None = None,
    best: int | None = None,
) -> Curve:
    """Draw a series with its description.

    Arguments:
        series: The series.
        held_out: The same figure on held-out rows, for the same picture.
        meaning: What the figure is.
        best: The step to mark, after which the best weights were.
    """
    (steps, values), (later, judged) = _finite(series), _finite(held_out)
    missing = len(series.values) - len(values)
    facts = [f"{missing:,} of {len(series.values):,} values are not finite"] if missing else []
    last = number(series.values[-1])
    shown = "" if held_out is None else number(held_out.values[-1])
    if not len(values) and not len(judged):
        return Curve(series.name, last, tuple(facts), Markup(), meaning, shown)
    both = np.concatenate([values, judged])
    wide = bool(both.min() > 0 and both.max() > _DECADES * both.min())
    thinned = thin(steps, values)
    facts = [*_ends(steps, values), *facts]
    if held_out is not None:
        goal = meaning.goal if meaning is not None else None
        best_first = 1 if goal is not None and goal.direction == "higher" else 0
        facts += [f"held out: {text}" for text in _ends(later, judged)[best_first:][:1]]
    if thinned.size > 1:
        facts.append(f"mean and range of groups of {thinned.size:,} values")
    if wide:
        facts.append("logarithmic")
    picture = _svg(thinned, thin(later, judged), wide, best)
    return Curve(series.name, last, tuple(facts), picture, meaning, shown)


def _finite(series: Series | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the steps and the values that are finite."""
    if series is None:
        return np.empty(0), np.empty(0)
    steps, values = np.asarray(series.steps, float), np.asarray(series.values, float)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _ends(steps: NDArray[np.float64], values: NDArray[np.float64]) -> list[str]:
    """Return the lowest and the highest value with their steps, if they differ."""
    if not len(values) or values.min() == values.max():
        return []
    ends = {"lowest": values.argmin(), "highest": values.argmax()}
    return [f"{end} {number(values[i])} at step {steps[i]:,.0f}" for end, i in ends.items()]


def number(value: float) -> str:
    """Return a value with few digits.

    >>> number(66059.3), number(0.000123456), number(float("nan"))
    ('66,059', '0.0001235', 'not finite')
    """
    if not np.isfinite(value):
        return "not finite"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def _svg(thinned: Thinned, held_out: Thinned, wide: bool, best: int | None) -> Markup:
    """Return the picture; it is safe, because it contains numbers only."""

    def paint(axes: Any) -> None:
        _line(axes, thinned, ACCENT)
        _line(axes, held_out, SECOND)
        shown = np.concatenate([thinned.steps, held_out.steps])
        if shown.min() == shown.max():
            axes.set_xlim(shown[0] - 1, shown[0] + 1)
        if best is not None:
            axes.axvline(best, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        _furnish(axes, wide)

    return as_svg(paint)


def as_svg(paint: Callable[[Any], None]) -> Markup:
    """Return a picture in the colours of the page; it must contain numbers only.

    Arguments:
        paint: Draws into axes, with the colours `ACCENT`, `INK` and `GRID`.
    """
    from matplotlib import style

    with style.context(["default", _PLAIN]):
        figure = new_figure(3.6, 1.9)
        paint(figure.subplots())
        buffer = io.StringIO()
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=unsaid)
    text = buffer.getvalue()
    text = _UNUSED.sub("", text[text.index("<svg") :])
    for colour, name in _COLOURS.items():
        text = text.replace(colour, name)
    return Markup(text)


def _line(axes: Any, thinned: Thinned, colour: str) -> None:
    """Draw a line, and the range of its groups."""
    free = {"clip_on": False, "color": colour}
    if thinned.size > 1:
        around = np.concatenate([thinned.steps, thinned.steps[::-1]])
        edge = np.concatenate([thinned.high, thinned.low[::-1]])
        axes.fill(around, edge, alpha=0.25, linewidth=0, **free)
    if len(thinned.steps) > 1:
        axes.plot(thinned.steps, thinned.mean, linewidth=1.3, **free)
    elif len(thinned.steps):
        # A single point is the round ends of a line: a marker would need a reference by id.
        x, y = thinned.steps[0], thinned.mean[0]
        axes.plot([x - 0.01, x + 0.01], [y, y], linewidth=4, solid_capstyle="round", **free)


def _furnish(axes: Any, wide: bool) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter

    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if wide:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    plain_axes(axes)


def plain_axes(axes: Any) -> None:
    """Leave a line below a picture and lines across it, without ticks."""
    axes.tick_params(which="both", length=0)
    axes.grid(axis="y", clip_on=False)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
