"""The comparison of runs: one table of their figures, paired differences, and their curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genzoo.capabilities import SupportsLogProb
from genzoo.comparison import tables
from genzoo.comparison.curves import plot_runs
from genzoo.comparison.figures import chosen_evaluations, computed_evaluations, mixed_settings
from genzoo.comparison.runs import Run, open_runs
from genzoo.component import Component
from genzoo.data import as_dataset
from genzoo.data.dataset import Dataset
from genzoo.errors import CapabilityError
from genzoo.estimate import Estimate
from genzoo.evaluation import MAX_EXAMPLES, Evaluation
from genzoo.evaluation.paired import compare
from genzoo.frames import frame_of

__all__ = ["Run", "RunComparison", "compare_runs"]

NO_DATA = "Paired differences of log-likelihoods need the rows: give --data."


@dataclass(frozen=True)
class RunComparison:
    """Runs with their figures on the same rows.

    Arguments:
        runs: The runs, by name.
        evaluations: The evaluation of each run, by name; a run without figures on these rows has
            none.
        differences: For each pair of runs with likelihoods, the difference of their mean
            log-likelihoods, with the error of paired values.
        notes: What differs between the runs, and what is not shown.
    """

    runs: Mapping[str, Run]
    evaluations: Mapping[str, Evaluation]
    differences: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each figure of each run.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame_of(tables.records(self.evaluations))

    def plot(self) -> Any:
        """Return a matplotlib figure of the curves that runs have in common.

        A loss is shared by runs of one objective only. Evaluations are drawn with marks.

        Raises:
            DataError: No two runs have a curve in common.
        """
        return plot_runs(self.runs)

    def _repr_html_(self) -> str:
        """Return the table, the differences and the notes, for notebooks."""
        return tables.html_of(self.runs, self.evaluations, self.differences, self.notes)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 80) -> str:
        """Return the comparison as text of at most ``width`` columns, if names allow."""
        return tables.text_of(self.runs, self.evaluations, self.differences, self.notes, width)


def compare_runs(
    runs: Sequence[str | os.PathLike[str]],
    data: Dataset | Any = None,
    metrics: Sequence[str | Component] | None = None,
    *,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
    device: str = "cpu",
) -> RunComparison:
    """Compare runs or model folders, of one family or several.

    Without data, the figures that ``genzoo evaluate`` stored in the folders are compared: those on
    the rows that most runs were evaluated on. Stored figures of other weights or other rows are
    not shown, and a note says so. With data, each run is evaluated, unless it has stored the same
    evaluation.

    Arguments:
        runs: At least two folders of finished runs, or of models, of equal events.
        data: A dataset, or an array or tensor of rows; None takes the stored figures.
        metrics: Registered names, or components; None means all that fit.
        seed: The seed of samples, of estimators and of the choice of rows.
        max_examples: The maximum number of rows; see `genzoo.evaluate`.
        device: The device that figures are computed on.

    Raises:
        ConfigError: There are fewer than two runs, or one is named twice, or events differ.
        LoadError: A folder has no finished run.
        DataError: No figures are stored, or the data do not fit a model.
    """
    opened = open_runs(runs)
    if data is None:
        evaluations, notes = chosen_evaluations(opened, metrics)
        able = [n for n, e in evaluations.items() if "log-likelihood" in e.figures]
        notes += [NO_DATA] if len(able) > 1 else []
        differences: Mapping[tuple[str, str], Estimate] = {}
    else:
        rows = as_dataset(data)
        models = {name: run.load(device) for name, run in opened.items()}
        evaluations, notes = computed_evaluations(
            opened, models, rows, metrics, seed=seed, max_examples=max_examples
        )
        differences, said = _paired(models, rows, metrics, seed=seed, max_examples=max_examples)
        notes += said
    notes = [*mixed_settings(evaluations), *notes]
    return RunComparison(opened, evaluations, differences, tuple(notes))


def _paired(
    models: Mapping[str, Any], data: Dataset, metrics: Any, **options: Any
) -> tuple[Mapping[tuple[str, str], Estimate], list[str]]:
    """Return the differences of the log-likelihoods of the models that have one."""
    named = [m if isinstance(m, str) else m.name for m in metrics or ["log-likelihood"]]
    able = {name: models[name] for name in models if isinstance(models[name], SupportsLogProb)}
    if "log-likelihood" not in named or len(able) < 2:
        return {}, []
    try:
        return compare(able, data, **options).differences, []
    except CapabilityError as error:
        return {}, [f"Without paired differences: {error}"]
