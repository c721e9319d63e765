"""Provenance: the settings of a figure, with which it can be computed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from genzoo import registry
from genzoo.component import Component
from genzoo.config import differences
from genzoo.data.dataset import Dataset
from genzoo.data.domains import TwoDomains, named_parts
from genzoo.data.subsets import Subset
from genzoo.errors import PluginError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.evaluation.streams import stream_of
from genzoo.sampler import Sampler
from genzoo.sampling import own_sampler
from genzoo.version import __version__

METRIC = ("metric", "metric_config")
"""The keys of the metric, which the figure's name already contains."""


def flat(values: Mapping[str, Any]) -> str:
    """Return a value as text, tables with their keys."""
    given = {key: value for key, value in values.items() if value not in (None, "", {})}
    return ", ".join(
        f"{key} ({flat(value)})" if isinstance(value, Mapping) else f"{key} {value}"
        for key, value in given.items()
    )


def shown(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return provenance for readers, without the numbers of the stream."""
    stream = provenance.get("stream")
    if not isinstance(stream, Mapping):
        return dict(provenance)
    kept = {"device": stream["device"]} if "device" in stream else {}
    return {**provenance, "stream": kept}


def in_words(provenance: Mapping[str, Any]) -> str:
    """Return provenance as text, with the number of examples and their draw in one entry.

    >>> in_words({"examples": 300, "examples_of": 1797, "draw": "stratified by label", "seed": 0})
    'examples 300 of 1797 (random draw, stratified by label), seed 0'
    >>> in_words({"examples": 297, "examples_of": 297, "seed": 0})
    'examples 297, seed 0'
    """
    facts = dict(provenance)
    if "examples" in facts:
        parts = [_of(facts, ""), _of(facts, "_y")]
        facts["examples"] = f"{facts['examples']}{' and'.join(filter(None, parts))}"
    return flat(facts)


def with_metric(figure: Estimate, key: str, name: str, metric: Metric) -> Estimate:
    """Return the figure ``key`` with its metric's goal, and the metric in its provenance."""
    config = differences(metric.config, metric.Config())
    own = {"metric": name, "metric_config": config, **figure.provenance}
    return replace(figure, provenance=own, goal=figure.goal or metric.goal_of(key))


def provenance_of(case: Case) -> dict[str, Any]:
    """Return the shared provenance: all that is needed to compute the figures again."""
    sampler = case.sampler or own_sampler(case.model)
    x, y = named_parts(case.data)
    source, config = x.origin or ("", {})
    return {
        "data": case.data.name,
        "source": source,
        "split": case.data.split,
        "data_config": dict(config),
        **({} if y is None else _second(y)),
        "examples": len(case.batch["x"]),
        **_part(case.data, case.judged),
        "seed": case.seed,
        "batch_size": case.batch_size,
        **sampler_provenance(sampler),
        "genzoo": __version__,
        "torch": str(torch.__version__),
        "stream": stream_of(case),
    }


def sampler_provenance(sampler: Sampler) -> dict[str, Any]:
    """Return a sampler's name and config; the name of the class if it is not registered."""
    try:
        component = registry.describe(sampler)
    except PluginError:
        component = Component(name=type(sampler).__name__, config=sampler.config.to_dict())
    return {"sampler": component.name, "sampler_config": dict(component.config)}


def _second(y: Dataset) -> dict[str, Any]:
    """Return what is needed to load a second domain that is named separately."""
    source, config = y.origin or ("", {})
    return {"source_y": source, "split_y": y.split, "data_y_config": dict(config)}


def _part(data: Dataset, judged: Dataset) -> dict[str, Any]:
    """Return the total number of rows and, if not all were used, how they were drawn."""
    if isinstance(data, TwoDomains) and isinstance(judged, TwoDomains) and not data.info.aligned:
        second = _part(data.y, judged.y)
        return _part(data.x, judged.x) | {f"{key}_y": value for key, value in second.items()}
    drawn = judged.x if isinstance(judged, TwoDomains) else judged
    draw = {"draw": drawn.how} if judged is not data and isinstance(drawn, Subset) else {}
    return {"examples_of": len(data), **draw}


def _of(facts: dict[str, Any], suffix: str) -> str:
    """Remove the total number of rows of a domain, and return it as text."""
    num, draw = facts.pop(f"examples_of{suffix}", None), facts.pop(f"draw{suffix}", None)
    if not draw:
        return ""
    how = "random draw" if draw == "random" else f"random draw, {draw}"
    return f" of {num}{suffix and ' of y'} ({how})"
