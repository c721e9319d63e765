"""The figures of a comparison: all of the same rows, stored or computed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genzoo.comparison.runs import Run
from genzoo.component import Component
from genzoo.data.dataset import Dataset
from genzoo.errors import DataError
from genzoo.estimate import Estimate
from genzoo.evaluation import Evaluation, evaluate, open_case
from genzoo.evaluation.choosing import by_reason, choose
from genzoo.evaluation.provenance import flat, provenance_of
from genzoo.evaluation.reading import Stored
from genzoo.evaluation.storing import metrics_of, protocol_of
from genzoo.model import Model

_ROWS = (
    *("source", "split", "data_config", "source_y", "split_y", "data_y_config", "seed"),
    *("data", "examples", "examples_of", "draw", "examples_of_y", "draw_y"),
)
"""What decides which rows are evaluated; they must be equal."""
_METRIC = ("metric_config", "extractor", "sha256", "classifier", "recognizer")
"""The settings of a figure that decide what it measures."""


def rows_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return what decides which rows an evaluation is of."""
    provenance = _placed(evaluation.provenance)
    given = {key: provenance.get(key) for key in _ROWS}
    for domain in ("", "_y"):
        # Rows that are held out of the training split do not touch the rows of other splits.
        if given[f"split{domain}"] not in ("train", "valid"):
            config = dict(given[f"data{domain}_config"] or {})
            for key in ("valid_fraction", "valid_shards"):
                config.pop(key, None)
            given[f"data{domain}_config"] = config
    return {key: value for key, value in given.items() if value not in (None, "", {})}


def chosen_evaluations(
    runs: Mapping[str, Run], metrics: Sequence[str | Component] | None
) -> tuple[dict[str, Evaluation], list[str]]:
    """Return the stored evaluation of each run on the rows that most runs have, and notes.

    Raises:
        DataError: No run has stored figures, or not the metrics.
    """
    names = None if metrics is None else [m if isinstance(m, str) else m.name for m in metrics]
    stored = {name: _of_metrics(run.stored[0], names) for name, run in runs.items()}
    notes = [note for run in runs.values() for note in run.stored[1]]
    counts = Counter(
        key for found in stored.values() for key in {_key(rows_of(s.evaluation)) for s in found}
    )
    if not counts:
        raise DataError(
            "None of the runs has stored figures"
            + (f" of {', '.join(names)}" if names else "")
            + ". Give --data, or run genzoo evaluate on each of them."
        )
    # Of equally many runs, the rows that were evaluated last.
    every = sorted((s for found in stored.values() for s in found), key=_age, reverse=True)
    best = max(every, key=lambda s: counts[_key(rows_of(s.evaluation))]).evaluation
    chosen: dict[str, Evaluation] = {}
    for name, found in stored.items():
        same = [s.evaluation for s in found if rows_of(s.evaluation) == rows_of(best)]
        other = [s.evaluation for s in found if rows_of(s.evaluation) != rows_of(best)]
        if same:
            chosen[name] = _joined(same)
        elif other:
            notes.append(
                f"{name} has stored figures of other rows only: {_differ(other[0], best)}. "
                "Give --data to evaluate all on the same rows."
            )
        else:
            notes.append(f"{name} has stored no figures. Give --data, or run genzoo evaluate.")
        if same and other:
            notes.append(
                f"Figures of {name} on other rows are not shown: {_differ(other[0], best)}."
            )
    return chosen, notes


def computed_evaluations(
    runs: Mapping[str, Run],
    models: Mapping[str, Model],
    data: Dataset,
    metrics: Sequence[str | Component] | None,
    *,
    seed: int,
    max_examples: int,
) -> tuple[dict[str, Evaluation], list[str]]:
    """Return the evaluation of each run on data: the stored one if it is the same, or a new one.

    Raises:
        DataError: The data do not fit a model.
        CapabilityError: A model does not support a metric.
    """
    found, reused = {}, []
    for name, model in models.items():
        try:
            case = open_case(model, data, seed=seed, max_examples=max_examples)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        wanted = Evaluation({}, provenance_of(case))
        chosen = choose(model, case.judged, metrics)
        asked = {key: _config_of(key, metrics) for key in chosen.metrics}
        same = [s.evaluation for s in runs[name].stored[0] if _answers(s, wanted, asked)]
        if same:
            reused.append(name)
            found[name] = _only(same[0], asked)
        else:
            found[name] = evaluate(model, data, metrics, seed=seed, max_examples=max_examples)
    return found, [f"The stored figures of {', '.join(reused)} are shown."] if reused else []


def mixed_settings(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return sentences on settings that differ between the runs."""
    notes = []
    for key in ("genzoo", "torch"):
        texts = {name: str(e.provenance.get(key, "")) for name, e in evaluations.items()}
        notes += _differing(key, texts)
    samplers = {name: _sampler(e.provenance) for name, e in evaluations.items()}
    notes += _differing("samplers", samplers)
    names = dict.fromkeys(figure for e in evaluations.values() for figure in e.figures)
    for figure in names:
        settings = {
            name: flat(_settings(e.figures[figure]))
            for name, e in evaluations.items()
            if figure in e.figures
        }
        notes += _differing(f"settings of {figure}", settings)
    return notes


def _sampler(provenance: Mapping[str, Any]) -> str:
    config = flat(provenance.get("sampler_config") or {})
    return f"{provenance.get('sampler', '')}{config and f' ({config})'}"


def _settings(figure: Estimate) -> dict[str, Any]:
    return {key: figure.provenance[key] for key in _METRIC if key in figure.provenance}


def _differing(what: str, texts: Mapping[str, str]) -> list[str]:
    if len(set(texts.values())) < 2:
        return []
    listed = [f"{text or 'default'} of {', '.join(by)}" for text, by in by_reason(texts).items()]
    return [f"Different {what}: {'; '.join(listed)}."]


def _of_metrics(found: Sequence[Stored], names: Sequence[str] | None) -> list[Stored]:
    """Return stored evaluations with the figures of the named metrics only."""
    if names is None:
        return list(found)
    kept = []
    for stored in found:
        figures = {
            key: figure
            for key, figure in stored.evaluation.figures.items()
            if figure.provenance.get("metric") in names
        }
        if figures:
            kept.append(replace(stored, evaluation=replace(stored.evaluation, figures=figures)))
    return kept


def _joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Return the newest evaluation, with the figures of older ones with the same settings."""
    newest, *older = evaluations
    figures = dict(newest.figures)
    for evaluation in older:
        if protocol_of(evaluation) == protocol_of(newest):
            figures = {**evaluation.figures, **figures}
    order = [name for e in (*reversed(older), newest) for name in e.figures if name in figures]
    return replace(newest, figures={name: figures[name] for name in dict.fromkeys(order)})


def _answers(stored: Stored, wanted: Evaluation, asked: Mapping[str, Any]) -> bool:
    """Whether a stored evaluation of the present weights has all metrics with these settings."""
    evaluation, versions = stored.evaluation, ("genzoo", "torch")
    return (
        bool(stored.weights)
        and bool(wanted.provenance.get("source"))
        and _placed(protocol_of(evaluation)) == _placed(protocol_of(wanted))
        and all(evaluation.provenance.get(k) == wanted.provenance.get(k) for k in versions)
        and all(metrics_of(evaluation).get(key, None) == config for key, config in asked.items())
    )


def _only(evaluation: Evaluation, asked: Mapping[str, Any]) -> Evaluation:
    figures = {k: f for k, f in evaluation.figures.items() if f.provenance["metric"] in asked}
    return replace(evaluation, figures=figures)


def _config_of(name: str, metrics: Sequence[str | Component] | None) -> dict[str, Any]:
    """Return the config that is asked for a metric, without defaults."""
    for metric in metrics or ():
        if isinstance(metric, Component) and metric.name == name:
            return dict(metric.config)
    return {}


def _placed(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return provenance with the whole path of data in a file, however it was named."""
    files = {key: str(provenance.get(key) or "") for key in ("source", "source_y")}
    paths = {key: os.path.realpath(name) for key, name in files.items() if os.path.exists(name)}
    return {**provenance, **paths}


def _key(rows: Mapping[str, Any]) -> str:
    return repr(sorted(rows.items()))


def _age(stored: Stored) -> float:
    return stored.path.stat().st_mtime


def _differ(evaluation: Evaluation, best: Evaluation) -> str:
    """Return the settings of rows that differ from those that are shown, in words."""
    theirs, ours = rows_of(evaluation), rows_of(best)
    keys = [key for key in _ROWS if theirs.get(key) != ours.get(key)]
    if "data" in keys:
        keys = [key for key in keys if key not in ("source", "split", "data_config")]
    return ", ".join(
        f"{key} {_said(theirs.get(key))} instead of {_said(ours.get(key))}" for key in keys
    )


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return flat(value)
    return "none" if value is None else str(value)
