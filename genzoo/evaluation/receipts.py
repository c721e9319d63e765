"""Receipts: what a figure was made with, so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from genzoo import __version__, registry
from genzoo.config import differences
from genzoo.data.dataset import Dataset
from genzoo.data.domains import named_parts
from genzoo.errors import PluginError
from genzoo.estimate import Estimate
from genzoo.evaluation.metric import Case, Metric
from genzoo.sampler import Sampler

METRIC = ("metric", "metric_config")
"""What says which metric made a figure, which its name tells a reader already."""


def flat(values: Mapping[str, Any]) -> str:
    """Return what is given as text, tables with their keys."""
    given = {key: value for key, value in values.items() if value not in (None, "", {})}
    return ", ".join(
        f"{key} ({flat(value)})" if isinstance(value, Mapping) else f"{key} {value}"
        for key, value in given.items()
    )


def signed(figure: Estimate, name: str, metric: Metric) -> Estimate:
    """Return a figure whose receipt says which metric made it, with which values."""
    config = differences(metric.config, metric.Config())
    own = {"metric": name, "metric_config": config, **figure.receipt}
    return replace(figure, receipt=own)


def receipt_of(case: Case) -> dict[str, Any]:
    """Return what the figures share: all that is needed to make them again."""
    sampler = case.sampler or case.model.sampler()
    x, y = named_parts(case.data)
    source, config = x.origin or ("", {})
    return {
        "data": case.data.name,
        "source": source,
        "split": case.data.split,
        "data_config": dict(config),
        **({} if y is None else _second(y)),
        "examples": len(case.batch["x"]),
        "seed": case.seed,
        "batch_size": case.batch_size,
        "sampler": _sampler_name(sampler),
        "sampler_config": sampler.config.to_dict(),
        "genzoo": __version__,
        "torch": str(torch.__version__),
    }


def _second(y: Dataset) -> dict[str, Any]:
    """Return what is needed to load a second domain that is named apart."""
    source, config = y.origin or ("", {})
    return {"source_y": source, "split_y": y.split, "data_y_config": dict(config)}


def _sampler_name(sampler: Sampler) -> str:
    try:
        return registry.name_of("samplers", type(sampler))
    except PluginError:
        return type(sampler).__name__
