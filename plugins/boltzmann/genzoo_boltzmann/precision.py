"""Where autocast is off: figures and acceptance probabilities are of the weights as they are."""

from __future__ import annotations

import torch


def full_precision(device: torch.device) -> torch.autocast:
    """Return a context in which products keep the type of their factors, also under autocast.

    A field of 100 is off by up to 0.25 in bfloat16, and an energy has hundreds of them.
    """
    return torch.autocast(device.type, enabled=False)
