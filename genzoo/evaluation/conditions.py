"""The conditions that a metric gives a model: those of the rows that are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genzoo.model import Model
from genzoo.spec import DataInfo

_DOMAINS = ("x", "y")


def lacking_condition(model: Model, batch: Mapping[str, Any]) -> str:
    """Say which condition a batch lacks; empty where it has what the model needs."""
    lacking = [name for name in model.conditions if name not in batch]
    if not lacking:
        return ""
    return f"it is conditioned on {lacking[0]}; the data have none (no {lacking[0]!r} in a batch)"


def with_conditions(model: Model, info: DataInfo) -> DataInfo:
    """Return what data are, as if they had what else the model is told of a row.

    Some metrics do without it; each of the others says what it lacks. Both domains must be there.
    """
    conditions = {name: space for name, space in model.conditions.items() if name not in _DOMAINS}
    return replace(info, fields={**info.fields, **conditions, **info.fields})
