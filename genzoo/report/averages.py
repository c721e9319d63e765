"""The figures of averages of other lengths (`genzoo ema --metrics`), each against the length."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from genzoo.errors import ConfigError, LoadError
from genzoo.evaluation.storing import protocol_in
from genzoo.goal import Goal, mark_of, read_goal
from genzoo.model_files import EMA_FIGURES
from genzoo.parsing import strict_json
from genzoo.report.curves import ACCENT, as_svg, plain_axes
from genzoo.report.evaluations import is_number, texts_of, value_in_words
from genzoo.training.power_functions import LENGTHS

MAX_CURVES = 40


@dataclass(frozen=True)
class Point:
    """A figure of one average.

    Arguments:
        sigma_rel: The length of the average.
        value: The figure.
        std_error: Its standard error; 0 if there is none.
    """

    sigma_rel: float
    value: float
    std_error: float

    def __str__(self) -> str:
        return value_in_words(self.value, self.std_error)


@dataclass(frozen=True)
class AverageCurve:
    """A figure against the length of the average.

    Arguments:
        name: The figure, with a mark for which way it is good.
        unit: Its unit.
        best: The best value with its length; empty if no value is better than another.
        facts: The ends.
        values: Each length and its value, in words.
        picture: The SVG.
    """

    name: str
    unit: str
    best: str
    facts: Sequence[str]
    values: Sequence[tuple[str, str]]
    picture: Markup


@dataclass(frozen=True)
class AverageCurves:
    """The figures of the averages after one update, on the same rows and with the same settings.

    Arguments:
        title: The data and the update.
        curves: A curve for each figure.
        provenance: The settings.
    """

    title: str
    curves: Sequence[AverageCurve]
    provenance: Mapping[str, str]


def read_averages(folder: Path) -> tuple[list[AverageCurves], list[str]]:
    """Return the curves of the figures in a run's folder, and notes on what was left out."""
    if not (folder / EMA_FIGURES.name).exists():
        return [], []
    try:
        stored = strict_json(EMA_FIGURES.read_text(folder))
        entries = [dict(entry) for entry in stored["averages"]]
        groups: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            groups.setdefault(_settings(entry), []).append(entry)
        found = [_curves(group) for group in groups.values()]
    except (ConfigError, LoadError, OSError, ValueError, LookupError, TypeError) as error:
        return [], [f"{EMA_FIGURES.name} was left out: {type(error).__name__}: {error}"]
    num, left = 0, []
    for each in found:
        if num + len(each.curves) <= MAX_CURVES:
            left.append(each)
            num += len(each.curves)
    note = f"Only {num} figures of {EMA_FIGURES.name} are shown."
    return left, [note] if len(left) < len(found) else []


def _settings(entry: Mapping[str, Any]) -> str:
    """Return what entries of one picture share."""
    LENGTHS.check(float(entry["sigma_rel"]), "sigma_rel")
    protocol = protocol_in(entry["evaluation"]["provenance"])
    return json.dumps([int(entry["stage"]), int(entry["step"]), protocol], sort_keys=True)


def _curves(group: Sequence[Mapping[str, Any]]) -> AverageCurves:
    first = group[0]
    data = first["evaluation"]["provenance"].get("data") or "The run's data"
    names = dict.fromkeys(name for entry in group for name in entry["evaluation"]["figures"])
    curves = [_curve(name, group) for name in names]
    return AverageCurves(
        title=f"{data}, after update {int(first['step']):,} of stage {int(first['stage']) + 1}",
        curves=[curve for curve in curves if curve is not None],
        provenance=texts_of(protocol_in(first["evaluation"]["provenance"])),
    )


def _curve(name: str, group: Sequence[Mapping[str, Any]]) -> AverageCurve | None:
    """Return the curve of a figure; None if no value of it is a finite number."""
    points: dict[float, Point] = {}
    fields: Mapping[str, Any] = {}
    for entry in group:
        stored = entry["evaluation"]["figures"].get(name)
        if stored is not None and is_number(stored.get("value")):
            fields, sigma_rel = stored, float(entry["sigma_rel"])
            error = stored.get("std_error")
            shown = float(error) if is_number(error) and error > 0 else 0.0
            points[sigma_rel] = Point(sigma_rel, float(stored["value"]), shown)
    if not points:
        return None
    ordered = [points[sigma_rel] for sigma_rel in sorted(points)]
    goal = read_goal(fields.get("goal"))
    best = _best(ordered, goal, fields.get("reference"))
    return AverageCurve(
        name=" ".join(filter(None, (name, mark_of(goal)))),
        unit=str(fields.get("unit") or ""),
        best="" if best is None else f"{best} at {best.sigma_rel:g}",
        facts=[f"{point} at {point.sigma_rel:g}" for point in (ordered[0], ordered[-1])],
        values=[(f"{point.sigma_rel:g}", str(point)) for point in ordered],
        picture=_picture(ordered, best),
    )


def _best(points: Sequence[Point], goal: Goal | None, reference: Any) -> Point | None:
    """Return the best point; None if that is not declared."""
    value = reference.get("value") if isinstance(reference, Mapping) else None
    if goal is None or goal.direction == "none":
        return None
    if goal.direction == "near" and not is_number(value):
        return None
    return min(points, key=lambda point: goal.cost(point.value, value))


def _picture(points: Sequence[Point], best: Point | None) -> Markup:
    """Return the points with their errors."""

    def paint(axes: Any) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        lengths = [point.sigma_rel for point in points]
        values = [point.value for point in points]
        free = {"clip_on": False, "color": ACCENT}
        axes.plot(lengths, values, linewidth=1.3, **free)
        for point in points:
            ends = [point.value - point.std_error, point.value + point.std_error]
            axes.plot([point.sigma_rel] * 2, ends, linewidth=0.9, **free)
            # The round ends of a line: a marker would need a reference by id.
            wide = 6 if point is best else 3.5
            at = [point.sigma_rel - 1e-6, point.sigma_rel + 1e-6]
            axes.plot(at, [point.value] * 2, linewidth=wide, solid_capstyle="round", **free)
        around = 0.05 * (max(lengths) - min(lengths)) or 0.01
        axes.set_xlim(min(lengths) - around, max(lengths) + around)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        plain_axes(axes)

    return as_svg(paint)
