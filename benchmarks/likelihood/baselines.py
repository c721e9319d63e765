"""Distributions that need no training: independent pixels, and a mixture of them by EM."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data import Dataset
from genzoo.log_prob import LogProb

ITERATIONS = 50
_ROWS = 5000


def independent(train: Dataset, x: Tensor) -> Tensor:
    """Return log p of rows (N, D) with the share of ones of each pixel, (N,)."""
    return mixture_log_prob(x, *fit_mixture(_flat(train), 1, iterations=1))


def fit_mixture(
    x: Tensor, num: int, *, iterations: int = ITERATIONS, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return weights π (K,) and means μ (K, D) of a mixture of Bernoulli products, by EM.

    p(x) = Σ_k π_k Π_i μ_ki^x_i (1 − μ_ki)^(1 − x_i). Each count gets one more 0 and one more 1, so
    no probability is 0. The means start halfway between rows and the mean row.

    | Maximum Likelihood from Incomplete Data via the EM Algorithm (Dempster, Laird, Rubin, 1977)

    Arguments:
        x: Zeros and ones, (N, D).
        num: The number K of components.
        iterations: The number of updates.
        seed: The seed of the rows that the means start at.
    """
    chosen = torch.randperm(len(x), generator=seeds.generator(seed))[:num]
    pi, mu = x.new_full((num,), 1 / num), (0.5 * x[chosen] + 0.5 * x.mean(0)).clamp(0.01, 0.99)
    for _ in range(iterations):
        counts, sums = torch.zeros_like(pi), torch.zeros_like(mu)
        for rows in torch.split(x, _ROWS):
            r = _joint(rows, pi, mu).softmax(1)
            counts += r.sum(0)
            sums += r.T @ rows
        pi, mu = (counts + 1) / (len(x) + num), (sums + 1) / (counts + 2)[:, None]
    return pi, mu


def mixture_log_prob(x: Tensor, pi: Tensor, mu: Tensor) -> Tensor:
    """Return log p of rows (N, D) of the mixture, (N,), in float64."""
    blocks = torch.split(x.double(), _ROWS)
    return torch.cat([_joint(rows, pi.double(), mu.double()).logsumexp(1) for rows in blocks])


def _joint(x: Tensor, pi: Tensor, mu: Tensor) -> Tensor:
    """Return log π_k + log p(x | k), (N, K)."""
    return x @ mu.logit().T + (torch.log1p(-mu).sum(1) + pi.log())


def _mixture(num: int) -> Callable[[Dataset, Tensor], Tensor]:
    def found(train: Dataset, x: Tensor) -> Tensor:
        return mixture_log_prob(x, *fit_mixture(_flat(train), num))

    return found


def _flat(data: Dataset) -> Tensor:
    x: Tensor = data.head(len(data))["x"]
    return x.flatten(1)


BASELINES: Mapping[str, Callable[[Dataset, Tensor], Tensor]] = {
    "independent-pixels": independent,
    "bernoulli-mixture-100": _mixture(100),
    "bernoulli-mixture-500": _mixture(500),
}


def baseline(name: str, train: Dataset, x: Tensor) -> LogProb:
    """Return log p of rows (N, *event_shape) by a baseline that is fitted to training rows."""
    values = BASELINES[name](train, x.flatten(1))
    return LogProb(values=values, kind="exact", measure="mass")
