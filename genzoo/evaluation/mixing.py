"""How fast Markov chains forget where they were: closed formulas on series of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def autocorrelation_time(series: Tensor) -> float:
    """Return τ = 1 + 2 Σ_t ρ_t, how many states of a chain are worth one independent draw.

    The sum ends by Geyer's initial positive sequence: before the first pair ρ_2k + ρ_2k+1 that is
    negative. ρ_t is taken over all chains together, so that chains which have not met make τ
    long. Chains that alternate may have τ < 1; it is 1 / log₁₀(TC) at least.

    | Practical Markov Chain Monte Carlo (Geyer, 1992)
    | Rank-Normalization, Folding, and Localization: An Improved R-hat for Assessing Convergence
    | of MCMC (Vehtari, Gelman, Simpson, Carpenter, Bürkner, 2021)

    Arguments:
        series: One number for each state of each chain, (T, C).

    Returns:
        τ; NaN where the numbers never change.
    """
    length, num = series.shape
    rho = autocorrelation(series)
    pairs = rho[: length // 2 * 2].view(-1, 2).sum(1)
    negative = (pairs < 0).nonzero()
    end = int(negative[0]) if len(negative) else len(pairs)
    return max(-1 + 2 * pairs[:end].sum().item(), 1 / math.log10(max(10, length * num)))


def autocorrelation(series: Tensor) -> Tensor:
    """Return ρ_t of series (T, C) over all chains together, (T,): 1 − (W − mean γ_t) / var⁺."""
    within, total = variances(series)
    covariance = _autocovariance(series).mean(1)
    rho = 1 - (within - covariance) / total
    rho[0] = covariance[0] / covariance[0]
    return rho


def split_r_hat(series: Tensor) -> float:
    """Return R̂ = (var⁺ / W)^½ of the chains' halves, series (T, C): 1 where they have met.

    | Bayesian Data Analysis (Gelman, Carlin, Stern, Dunson, Vehtari, Rubin, 2013)
    """
    half = len(series) // 2
    within, total = variances(torch.cat([series[:half], series[-half:]], dim=1))
    return (total / within).sqrt().item()


def variances(series: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean variance W within chains (T, C), and var⁺ = (T − 1) W / T + B / T."""
    length, num = series.shape
    within = series.var(0).mean()
    between = series.mean(0).var() if num > 1 else torch.zeros((), dtype=series.dtype)
    return within, (length - 1) / length * within + between


def jackknife_error(figure: Callable[[Tensor], float], series: Tensor) -> float:
    """Return a figure's standard error by leaving out one chain after the other of (T, C)."""
    num = series.shape[1]
    if num < 3:
        return math.inf
    kept = [[j for j in range(num) if j != i] for i in range(num)]
    values = torch.tensor([figure(series[:, index]) for index in kept], dtype=torch.float64)
    return math.sqrt((num - 1) / num * (values - values.mean()).square().sum().item())


def _autocovariance(series: Tensor) -> Tensor:
    """Return γ_t of each chain, Σ_i (s_i − s̄)(s_i+t − s̄) / T, (T, C)."""
    length = len(series)
    spectrum = torch.fft.rfft(series - series.mean(0), n=2 * length, dim=0)
    summed: Tensor = torch.fft.irfft(spectrum.abs().square(), n=2 * length, dim=0)
    return summed[:length] / length
