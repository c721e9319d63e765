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
from torch.distributions import StudentT

from genzoo import seeds
from genzoo.testing.cases import SEED

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


def sum_over(levels: int, shape: tuple[int, ...], log_prob: LogProb, scale: float) -> Total:
    """Return Σ p(x) over all x of ``shape`` whose values are 0, scale, …, (levels − 1) scale."""
    size = math.prod(shape)
    states = levels**size
    if states <= MAX_STATES:
        digits = torch.cartesian_prod(*[torch.arange(levels)] * size).reshape(states, *shape)
        draws = max(FEW, CALLS // states)
        found = torch.tensor([log_prob(scale * x, draws) for x in digits]).double()
        weights = found.mean(1).exp()
        errors = weights * _error_of_mean(found)
        return Total(weights.sum().item(), errors.square().sum().sqrt().item())
    generator = seeds.generator(SEED)
    drawn = scale * torch.randint(levels, (DRAWS, *shape), generator=generator)
    return _mean(_log_probs(drawn, log_prob) + size * math.log(levels))


def integral(samples: Tensor, log_prob: LogProb, draws: int = DRAWS) -> Total:
    """Return ∫ p(x) dx, by draws from a wide Student distribution fitted to samples (N, D)."""
    flat = samples.double().flatten(1)
    centre, spread = flat.mean(0), 1.2 * flat.std(0).clamp_min(1e-3)
    proposal = StudentT(3.0, centre, spread)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        x = proposal.sample((draws,))
    log_q: Tensor = proposal.log_prob(x).sum(1)  # type: ignore[no-untyped-call]
    rows = x.reshape(draws, *samples.shape[1:])
    return _mean(_log_probs(rows, log_prob) - log_q)


def integral_over_unit(shape: tuple[int, ...], log_prob: LogProb) -> Total:
    """Return ∫ p(x) dx over the unit cube."""
    x = torch.rand(DRAWS, *shape, generator=seeds.generator(SEED), dtype=torch.float64)
    return _mean(_log_probs(x, log_prob))


def _log_probs(rows: Tensor, log_prob: LogProb) -> Tensor:
    return torch.tensor([log_prob(row, FEW) for row in rows]).double().mean(1)


def _error_of_mean(draws: Tensor) -> Tensor:
    """Return the standard error of each row's mean of its draws (N, K)."""
    num = draws.shape[1]
    return draws.std(1) / math.sqrt(num) if num > 1 else torch.zeros(len(draws))


def _mean(log_weights: Tensor) -> Total:
    weights = log_weights.double().exp()
    return Total(weights.mean().item(), weights.std().item() / math.sqrt(len(weights)))
