"""The total probability that a model's log-likelihoods give to all that there could be.

    Σ_x p(x), or ∫ p(x) dx, is 1 where log p is exact. A lower bound of each log p gives a total of
    at most 1, an upper bound one of at least 1. So the total shows on which side a bound lies, of
    any model, without another figure to hold it against.

Small discrete spaces are summed up; all else is estimated by importance sampling.
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
LogProb = Callable[[Tensor, int], list[float]]
"""What gives one row's log p: one value where that is exact, else so many independent draws."""


@dataclass(frozen=True)
class Total:
    """A total probability, with one standard error; 0 where everything was summed up."""

    value: float
    std_error: float


def sum_over(states: Tensor, log_prob: LogProb) -> Total:
    """Return Σ p(x) over all x, the rows of ``states``."""
    draws = max(FEW, CALLS // len(states))
    found = torch.tensor([log_prob(x, draws) for x in states]).double()
    weights = found.mean(1).exp()
    errors = weights * _error_of_mean(found)
    return Total(weights.sum().item(), errors.square().sum().sqrt().item())


def estimated(rows: Tensor, log_q: Tensor, log_prob: LogProb) -> Total:
    """Return Σ p(x), or ∫ p(x) dx, by draws (N, ...) from a distribution with log q (N,)."""
    return _mean(_log_probs(rows, log_prob) - log_q)


def _log_probs(rows: Tensor, log_prob: LogProb) -> Tensor:
    return torch.tensor([log_prob(row, FEW) for row in rows]).double().mean(1)


def _error_of_mean(draws: Tensor) -> Tensor:
    """Return the standard error of each row's mean of its draws (N, K)."""
    num = draws.shape[1]
    return draws.std(1) / math.sqrt(num) if num > 1 else torch.zeros(len(draws))


def _mean(log_weights: Tensor) -> Total:
    weights = log_weights.double().exp()
    return Total(weights.mean().item(), weights.std().item() / math.sqrt(len(weights)))
