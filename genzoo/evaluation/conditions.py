"""What a conditional model is given while it is judged: the conditions of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genzoo.errors import CapabilityError
from genzoo.model import GenerativeModel

_KEYS = {"label": "label", "text": "text", "image": "y"}


def condition_of(model: GenerativeModel, batch: Mapping[str, Any]) -> Any:
    """Return the part of a batch that the model is conditioned on.

    Raises:
        CapabilityError: The data have none.
    """
    if model.condition_kind == "none":
        return None
    lacking = lacking_condition(model, batch)
    if lacking:
        raise CapabilityError(f"{type(model).__name__} cannot be judged: {lacking}.")
    return batch[_KEYS[model.condition_kind]]


def lacking_condition(model: GenerativeModel, batch: Mapping[str, Any]) -> str:
    """Say which condition a batch lacks; empty where it has what the model needs."""
    kind = model.condition_kind
    if kind == "none" or _KEYS[kind] in batch:
        return ""
    key = _KEYS[kind]
    return f"it is conditioned on a {kind}; the data have none (no {key!r} in a batch)"
