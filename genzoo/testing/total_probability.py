"""The total probability of all x under a model's log-likelihoods.

    Σ_x p(x), or ∫ p(x) dx, is 1 if log p is exact. Lower bounds of log p give a total of at most
    1, upper bounds one of at least 1. So the total shows the side of a bound for any model,
    without another figure.

Small discrete spaces are enumerated; others are estimated by importance sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_STATES = 2**10
DRAWS, DRAWS_OF_BOUNDS = 1500, 400
FEW, CALLS = 4, 2**11
BLOCKS = 50
LogProb = Callable[[Tensor, int], Tensor]
"""Returns log p of rows (N, ...), with a number of draws for each: (N, draws) float64.

The draws of one row are independent; rows of one call may share theirs.
"""


@dataclass(frozen=True)
class Total:
    """A total probability with one standard error, which is 0 if everything was enumerated."""

    value: float
    std_error: float


def sum_over(states: Tensor, log_prob: LogProb) -> Total:
    """Return Σ p(x) over all x, the rows of ``states``."""
    found = log_prob(states, max(FEW, CALLS // len(states)))
    weights = found.mean(1).exp()
    # Each draw changes the sum by Σ p(x) (log p_k(x) − mean), also if rows share draws.
    moved = (weights[:, None] * found).sum(0)
    return Total(weights.sum().item(), _error_of_mean(moved))


def estimated(rows: Tensor, log_q: Tensor, log_prob: LogProb) -> Total:
    """Return Σ p(x), or ∫ p(x) dx, from draws (N, ...) of a distribution with log q (N,)."""
    # Rows of a block share a call, so only the means of blocks are independent.
    found = [log_prob(block, FEW).mean(1) for block in rows.tensor_split(BLOCKS)]
    weights = (torch.cat(found) - log_q.double()).exp()
    means = torch.stack([block.mean() for block in weights.tensor_split(BLOCKS)])
    return Total(weights.mean().item(), _error_of_mean(means))


def _error_of_mean(draws: Tensor) -> float:
    """Return the standard error of the mean of independent draws (K,); 0 for a single one."""
    num = len(draws)
    return draws.std().item() / math.sqrt(num) if num > 1 else 0.0
