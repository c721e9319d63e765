"""The check of a metric: its declared goals are true of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from genzoo import registry, seeds
from genzoo.component import Component
from genzoo.data import as_dataset
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate
from genzoo.evaluation import compute_metric, open_case
from genzoo.evaluation.metric import Case
from genzoo.goal import REFERENCE, Goal
from genzoo.model import Model
from genzoo.testing.cases import SEED, demand

_ERRORS = 5.0
Rows = Callable[[Case, Any], Any]


def check_metric(
    metric: str | Component, model: Model, data: Dataset | Any
) -> dict[str, Estimate]:
    """Check the goals of a metric's figures, and return the figures.

    No figure may be better than the best value that is declared, up to five standard errors, and a
    goal that names the reference needs one. The metric is then computed with rows of the data in
    place of the samples, with noise, and with copies of one row. For the figures that depend on
    samples, the data must have the best value, and noise or copies must be worse.

    Arguments:
        metric: The registered name, or a component.
        model: A model that the metric applies to.
        data: Data that it applies to.

    Raises:
        CheckFailed: A goal is not true.
        CapabilityError: The metric does not apply to the model or the data.
    """
    named = Component(name=metric) if isinstance(metric, str) else metric
    made = registry.make("metrics", named)
    case = open_case(model, as_dataset(data), seed=SEED)
    figures = compute_metric(case, named.name, made)
    for name, figure in figures.items():
        _demand_possible(name, figure)
    drawn = [
        compute_metric(_with(case, rows), named.name, made) for rows in (_data, _noise, _copy)
    ]
    for name, figure in drawn[0].items():
        if figure.goal and figure.goal.direction != "none":
            _demand_direction(name, figure.goal, [found[name] for found in drawn if name in found])
    return figures


def _demand_possible(name: str, figure: Estimate) -> None:
    """Raise `CheckFailed` if a figure is better than its best value, or this is missing."""
    goal = figure.goal
    if goal is None:
        return
    if goal.best == REFERENCE:
        demand(figure.reference is not None, f"{name} has no reference, its goal: {goal}.")
    elif isinstance(goal.best, (int, float)) and goal.direction != "near":
        better = goal.cost(goal.best) - goal.cost(figure.value)
        said = f"{name} is {figure.value:.4g}, better than the best value: {goal}."
        demand(not better > _ERRORS * figure.std_error + 1e-9, said)


def _demand_direction(name: str, goal: Goal, found: list[Estimate]) -> None:
    """Raise `CheckFailed` if data in place of samples are not the best, or nothing is worse."""
    real, *wrong = found
    cost = _cost(goal, real)
    if all(_cost(goal, figure) == cost for figure in wrong):
        return  # It does not depend on samples.
    error = _ERRORS * real.std_error
    if goal.best is not None:
        best = real.reference.value if goal.best == REFERENCE and real.reference else goal.best
        worse = cost - goal.cost(float(best), float(best))
        said = f"{name} of data in place of samples is {real.value:.4g}, not near {best:.4g}."
        demand(worse <= error + 0.1 * abs(float(best)) + 1e-9, said)
    said = f"{name}: noise and copies of one row are not worse than data, but {goal}."
    demand(any(_cost(goal, figure) > cost + error for figure in wrong), said)


def _cost(goal: Goal, figure: Estimate) -> float:
    return goal.cost(figure.value, figure.reference.value if figure.reference else None)


@dataclass(frozen=True, eq=False)
class _Replaced(Case):
    """A case with other rows in place of samples."""

    rows_instead: Rows | None = None

    def drawn_for(self, rows: Mapping[str, Any], stream: str, batch_size: int) -> Any:
        """Return what stands in place of the samples."""
        if self.rows_instead is None:
            return super().drawn_for(rows, stream, batch_size)
        return self.rows_instead(self, rows["x"])


def _with(case: Case, rows: Rows) -> Case:
    given = {field.name: getattr(case, field.name) for field in fields(case) if field.init}
    return _Replaced(**given, rows_instead=rows)


def _data(case: Case, x: Any) -> Any:
    return x


def _noise(case: Case, x: Any) -> Any:
    space, generator = case.data.info["x"], seeds.generator(SEED)
    return space.cast(space.reference_around(x, len(x), generator)[0])


def _copy(case: Case, x: Any) -> Any:
    return x[:1].expand_as(x)
