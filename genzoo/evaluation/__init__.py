"""Evaluation: figures of a model with their provenance. It uses capabilities, not families."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from genzoo import seeds
from genzoo.component import Component
from genzoo.config import positive
from genzoo.data import as_dataset, subset
from genzoo.data.dataset import Dataset
from genzoo.errors import DataError
from genzoo.estimate import Estimate
from genzoo.evaluation.choosing import check_available, choose, no_figures_error
from genzoo.evaluation.metric import Case, Metric, with_conditions
from genzoo.evaluation.provenance import provenance_of, with_metric
from genzoo.evaluation.table import lines_of, lines_of_others
from genzoo.evaluation.views import html_of, record
from genzoo.finite import weights_checked
from genzoo.frames import frame_of
from genzoo.model import Model, check_loaded
from genzoo.progress import progress_bar
from genzoo.sampler import Sampler
from genzoo.sampling import checked_sampler, evaluating

__all__ = ["Case", "Evaluation", "Metric", "evaluate"]

MAX_EXAMPLES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """The figures of an evaluation, with their shared provenance.

    Arguments:
        figures: The figures by name.
        provenance: The data, the number of examples, the seed and the versions.
        left_out: The metrics that fit the model and the data but were not computed, each with the
            reason: too few rows, a missing package, a broken plugin.
        not_applicable: The metrics that do not fit the model or the data, each with the reason.
    """

    figures: Mapping[str, Estimate]
    provenance: Mapping[str, Any]
    left_out: Mapping[str, str] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain values for JSON; values that are not finite are None."""
        return {
            "figures": {name: _plain(asdict(figure)) for name, figure in self.figures.items()},
            "provenance": dict(self.provenance),
            "left_out": dict(self.left_out),
            "not_applicable": dict(self.not_applicable),
        }

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Store the evaluation in the folder of the run or model, as ``genzoo evaluate`` does.

        The report and ``genzoo compare`` find it there. Evaluations with other data or settings
        lie next to each other, and one with the same is replaced.

        Returns:
            The path of the file.

        Raises:
            LoadError: The folder has no model.
            DiskFullError: No space is left.
            GenzooError: The folder cannot be written.
        """
        from genzoo.evaluation.storing import save_evaluation

        return save_evaluation(self, folder)

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each figure.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame_of([record(*item) for item in self.figures.items()], index="figure")

    def _repr_html_(self) -> str:
        """Return the figures as a table, for notebooks."""
        return html_of(self.figures, self.provenance, self.left_out, self.not_applicable)

    def __str__(self) -> str:
        lines = lines_of(self.figures, self.provenance)
        return "\n".join([*lines, *lines_of_others(self.left_out, self.not_applicable)])


def evaluate(
    model: Model,
    data: Dataset | Any,
    metrics: str | Sequence[str | Component] | None = None,
    *,
    sampler: Sampler | None = None,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
) -> Evaluation:
    """Evaluate a model on data.

    Arguments:
        model: The model.
        data: A dataset, or an array or tensor of rows.
        metrics: Registered names, or components, or one name; None means all that the model's
            capabilities and the data allow.
        sampler: The sampler; the model's default sampler if None.
        seed: The seed of samples, of estimators and of the choice of rows.
        max_examples: The maximum number of rows. If there are more, a part is drawn at random, in
            proportion to the labels if they are known; see `genzoo.data.subset`.

    Raises:
        DataError: The data do not fit the model, or there are none.
        NotFiniteWeightsError: A parameter or a buffer of the model contains NaN or infinity.
        CapabilityError: A named metric cannot be computed for the model, or no figure can; the
            error says what each metric needs.
        ConfigError: The model is given by the name of its folder, ``max_examples`` is less than 1,
            a metric's config is refused, or a metric is named twice.
        UnknownNameError: A metric does not exist.
    """
    check_loaded(model, "evaluate")
    case = open_case(
        model, as_dataset(data), sampler=sampler, seed=seed, max_examples=max_examples
    )
    named = [metrics] if isinstance(metrics, str) else metrics
    choice = choose(model, case.judged, named)
    figures: dict[str, Estimate] = {}
    with progress_bar("Evaluating", "metric", len(choice.metrics)) as shown:
        for name, metric in choice.metrics.items():
            metric_figures = _computed(case, name, metric)
            figures |= metric_figures
            if not metric_figures:
                choice.left_out[name] = "it gives no figure for these rows"
            shown.update()
    if not figures:
        raise no_figures_error(model, case.judged, choice)
    return Evaluation(figures, provenance_of(case), choice.left_out, choice.not_applicable)


def open_case(
    model: Model,
    data: Dataset,
    *,
    sampler: Sampler | None = None,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
) -> Case:
    """Return the case of an evaluation; see `evaluate`."""
    positive("max_examples", max_examples)
    seed = seeds.checked(seed)
    if sampler is not None:
        checked_sampler(sampler)
    if len(data) == 0:
        raise DataError(f"{data.name} has no rows to evaluate on. Choose another split or file.")
    model.check_data(with_conditions(model, data.info))
    judged = subset(data, max_examples, seed=seed)
    batch = judged.head(len(judged), seed=seed)
    generator = seeds.generator(seed, model.device)
    return Case(model, data, batch, generator, seed, sampler, judged)


def compute_metric(case: Case, name: str, metric: Metric) -> dict[str, Estimate]:
    """Return the figures of one metric with their own provenance.

    Raises:
        CapabilityError: The model or the data do not support the metric.
    """
    check_available(case.model, case.judged, {name: metric})
    return _computed(case, name, metric)


def _computed(case: Case, name: str, metric: Metric) -> dict[str, Estimate]:
    with evaluating(case.model), torch.no_grad(), weights_checked(case.model):
        case.generator.manual_seed(seeds.derive_seed(case.seed, name))
        figures = metric.compute(case)
    return {key: with_metric(figure, key, name, metric) for key, figure in figures.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
