"""The base rates of binary visible units, from data."""

from __future__ import annotations

import torch
from torch import Tensor

from genzoo.plugin import Batch, DataInfo

_RATE_FLOOR = 1e-3


@torch.no_grad()
def init_rates(base_rates: Tensor, b: Tensor, batch: Batch, info: DataInfo) -> None:
    """Set base rates, (V,), to the data's mean, and biases b, (V,), to their log-odds, in place.

    Rates are at least 0.001 and at most 0.999.
    """
    mean = info.mean["x"] if "x" in info.mean else batch["x"].mean(0)
    rates = mean.to(base_rates).flatten().clamp(_RATE_FLOOR, 1 - _RATE_FLOOR)
    base_rates.copy_(rates)
    b.copy_(torch.logit(rates))
