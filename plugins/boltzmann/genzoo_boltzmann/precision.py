"""Computations without autocast, for figures and acceptance probabilities."""

from __future__ import annotations

import torch


def full_precision(device: torch.device) -> torch.autocast:
    """Return a context in which products keep the dtype of their factors, also under autocast.

    In bfloat16 a field of 100 has an error of up to 0.25, and an energy has hundreds of fields.
    """
    return torch.autocast(device.type, enabled=False)
