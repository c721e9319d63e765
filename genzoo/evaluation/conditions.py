"""The conditions that a metric passes to a model: those of the evaluated rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genzoo.model import Model
from genzoo.spec import DataInfo

_DOMAINS = ("x", "y")


def lacking_condition(model: Model, batch: Mapping[str, Any]) -> str:
    """Return the condition that a batch lacks; empty if it has all that the model needs."""
    lacking = [name for name in model.conditions if name not in batch]
    if not lacking:
        return ""
    return f"it is conditioned on {lacking[0]}; the data have none (no {lacking[0]!r} in a batch)"


def with_conditions(model: Model, info: DataInfo) -> DataInfo:
    """Return the info of data as if they had all conditions of the model.

    Some metrics do not need conditions; the others say what they lack. Both domains must exist.
    """
    conditions = {name: space for name, space in model.conditions.items() if name not in _DOMAINS}
    return replace(info, fields={**info.fields, **conditions, **info.fields})
