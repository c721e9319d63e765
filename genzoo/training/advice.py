"""What to do about a loss or gradient that is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_USUAL = 10.0
"""Values of data that are standardised, or in [0, 1], are rarely beyond."""
_LOWER = (
    "ower the learning rate (--trainer.optimizers.PLAYER.lr), clip gradients "
    "(--trainer.max-grad-norm 1), or warm up (--trainer.warmup-steps)."
)


def advice(batches: Sequence[Mapping[str, Any]], index: int, players: Sequence[str]) -> str:
    """Return the remedy for update ``index`` (from 0): the data's range, or the learning rate.

    Arguments:
        batches: The micro-batches of the update.
        index: Its number. The data are looked at if it is the first: later ones have trained on
            such rows before.
        players: The names of the players.
    """
    lower = _LOWER.replace("PLAYER", players[0]) if len(players) == 1 else _LOWER
    for name in ("x", "y") if index == 0 else ():
        rows = [batch[name] for batch in batches if name in batch]
        found = _of_range([part for part in rows if part.is_floating_point()], name, lower)
        if found:
            return found
    return f"L{lower}"


def _of_range(rows: Sequence[Tensor], name: str, lower: str) -> str:
    """Return a remedy if the values of rows are unusual."""
    if not rows:
        return ""
    ends = torch.stack([end.float() for part in rows for end in part.aminmax()]).tolist()
    if not all(math.isfinite(end) for end in ends):
        return f"The field {name} of this batch holds NaN or infinity: correct the data first."
    low, high = min(ends), max(ends)
    largest = max(abs(low), abs(high))
    if largest <= _USUAL:
        return ""
    flag = "--data.scale" if name == "x" else "--data-y.scale"
    return (
        f"The field {name} of this batch has values from {low:g} to {high:g}: rescale the "
        f"data first ({flag} {largest:g}; in Python, scale={largest:g}). If they must stay so, "
        f"l{lower}"
    )
