"""What machines of zeros and ones share: base rates, which come from data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genzoo.plugin import Batch, DataInfo

_RATE_FLOOR = 1e-3


class BinaryMachine:
    """Base class of machines of zeros and ones, next to `Machine`.

    Attributes:
        b: The biases of the visible units, (V,).
        base_rates: The mean of each visible unit over the training data, (V,), a buffer.
        data_seen: Whether it is known, a buffer.
    """

    b: nn.Parameter
    base_rates: Tensor
    data_seen: Tensor

    @property
    def sums_hidden(self) -> bool:
        """Whether `Machine.row_energies` sums over all hidden units, and is not a bound."""
        return True

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Set the base rates to the data's mean, from 0.001 to 0.999, and b to their log-odds."""
        mean = info.mean["x"] if "x" in info.mean else batch["x"].mean(0)
        rates = mean.to(self.base_rates).flatten().clamp(_RATE_FLOOR, 1 - _RATE_FLOOR)
        self.base_rates.copy_(rates)
        self.b.copy_(torch.logit(rates))
        self.data_seen.fill_(True)
