"""What a conditional model is given while it is judged: the conditions of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.model import GenerativeModel


def lacking_condition(model: GenerativeModel, batch: Mapping[str, Any]) -> str:
    """Say which condition a batch lacks; empty where it has what the model needs."""
    lacking = [name for name in model.conditions if name not in batch]
    if not lacking:
        return ""
    return f"it is conditioned on {lacking[0]}; the data have none (no {lacking[0]!r} in a batch)"
