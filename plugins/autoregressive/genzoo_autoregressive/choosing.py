"""Choosing a value: draws from the probabilities of a place, sharpened or cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import Bounds, Config


@dataclass(frozen=True, kw_only=True)
class ChoosingConfig(Config):
    """How the value of a place is drawn."""

    temperature: Annotated[float, Bounds(1e-3, 1e3)] = 1.0
    """T: values are drawn with probabilities in proportion to p^(1/T). Below 1, likely values
    become likelier, and the distribution of samples is not the one that `log_prob` describes."""
    top_k: Annotated[int | None, Bounds(1, 2**20)] = None
    """Only the k likeliest values of a place are drawn."""
    top_p: Annotated[float, Bounds(1e-6, 1.0)] = 1.0
    """Only the likeliest values of a place that together have at least this probability are
    drawn (nucleus sampling: Holtzman et al., 2020)."""


DRAWS = ChoosingConfig()
"""Draws from the model's own probabilities."""


def chosen(log_probs: Tensor, u: Tensor, how: ChoosingConfig) -> Tensor:
    """Return the indices (B,) of values, by inversion of their distribution function.

    Arguments:
        log_probs: log p of all values, (B, K).
        u: Uniform numbers in [0, 1), (B,).
        how: The temperature, and which values are left out.
    """
    cdf = probabilities(log_probs, how).cumsum(-1)
    # Index k has cdf[k − 1] ≤ u < cdf[k], so that a value of probability 0 is never drawn. The
    # last sum is 1 up to rounding; u times it stays below it.
    return (cdf <= u[:, None] * cdf[:, -1:]).sum(-1)


def probabilities(log_probs: Tensor, how: ChoosingConfig) -> Tensor:
    """Return the probabilities (B, K) that values are drawn with.

    Arguments:
        log_probs: log p of all values, (B, K).
        how: The temperature, and which values are left out.
    """
    if how.temperature != 1:
        log_probs = (log_probs / how.temperature).log_softmax(-1)
    if how.top_k is not None and how.top_k < log_probs.shape[-1]:
        log_probs = _without(log_probs, _beyond_k(log_probs, how.top_k))
    if how.top_p < 1:
        log_probs = _without(log_probs, _beyond_p(log_probs, how.top_p))
    return log_probs.exp()


def _without(log_probs: Tensor, left_out: Tensor) -> Tensor:
    return log_probs.masked_fill(left_out, -torch.inf).log_softmax(-1)


def _beyond_k(log_probs: Tensor, k: int) -> Tensor:
    """Return which values are not among the k likeliest, (B, K) bool."""
    kept = log_probs.topk(k, dim=-1).indices
    return torch.ones_like(log_probs, dtype=torch.bool).scatter(-1, kept, False)


def _beyond_p(log_probs: Tensor, p: float) -> Tensor:
    """Return which values are not needed to reach the probability p, (B, K) bool."""
    found, order = log_probs.sort(dim=-1, descending=True, stable=True)
    before = found.exp().cumsum(-1) - found.exp()
    return torch.zeros_like(log_probs, dtype=torch.bool).scatter(-1, order, before >= p)
