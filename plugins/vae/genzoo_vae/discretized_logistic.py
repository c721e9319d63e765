"""A logistic distribution, discretised to the grey levels of data."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

_MIN_PROBABILITY = 1e-12


class DiscretizedLogistic(Distribution):
    """P(x = i / (L − 1)) = σ((x + δ/2 − μ) / s) − σ((x − δ/2 − μ) / s), with δ = 1 / (L − 1).

    The lowest level includes all mass below it, the highest all mass above it, so the L
    probabilities sum to one.

    | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)

    Arguments:
        loc: μ, of any shape.
        scale: s, broadcastable to the shape of μ.
        levels: L, the number of values from 0 to 1.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    has_rsample = False

    def __init__(self, loc: Tensor, scale: Tensor, levels: int) -> None:
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Σ_i x_i P(x_i), by summing over the levels' upper edges: 1 − δ Σ_i F(edge_i)."""
        delta = 1 / (self.levels - 1)
        edges = (torch.arange(self.levels - 1, device=self.loc.device) + 0.5) * delta
        total = torch.zeros_like(self.loc)
        for edge in edges.to(self.loc.dtype):
            total = total + torch.sigmoid((edge - self.loc) / self.scale)
        return 1 - delta * total

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log P of values i / (L − 1), in nats, of the broadcast shape."""
        half = 0.5 / (self.levels - 1)
        upper = (value + half - self.loc) / self.scale
        lower = (value - half - self.loc) / self.scale
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^(l − u)), without a difference of two
        # numbers near one, so the tails keep their slope.
        gap = torch.log(-torch.expm1(lower - upper)).clamp_min(math.log(_MIN_PROBABILITY))
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + gap
        highest = torch.where(value > 1 - half, F.logsigmoid(-lower), inner)
        return torch.where(value < half, F.logsigmoid(upper), highest)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw levels, of shape sample_shape + batch shape."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            u = torch.rand(shape, device=self.loc.device, dtype=self.loc.dtype)
            return quantile(u, self.loc, self.scale, self.levels)


def quantile(u: Tensor, loc: Tensor, scale: Tensor, levels: int) -> Tensor:
    """Return the levels at which the cumulative distribution function reaches u."""
    tiny = torch.finfo(u.dtype).tiny
    x = loc + scale * (u.clamp_min(tiny).log() - torch.log1p(-u).clamp_min(-1e4))
    return (x * (levels - 1)).round().clamp(0, levels - 1) / (levels - 1)
