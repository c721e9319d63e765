"""How fast Markov chains forget where they were: closed formulas on series of numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import torch
from torch import Tensor


def autocorrelation_time(series: Tensor) -> float:
    """Return τ = 1 + 2 Σ_t ρ_t, how many states of a chain are worth one independent draw.

    The sum is Geyer's initial monotone sequence: it ends before the first pair ρ_2k + ρ_2k+1 that
    is negative, and no pair counts for more than the one before. ρ_t is taken over all chains
    together, so that chains which have not met make τ long. Chains that alternate may have τ < 1;
    it is 1 / log₁₀(TC) at least.

    | Practical Markov Chain Monte Carlo (Geyer, 1992)
    | Rank-Normalization, Folding, and Localization: An Improved R-hat for Assessing Convergence
    | of MCMC (Vehtari, Gelman, Simpson, Carpenter, Bürkner, 2021)

    Arguments:
        series: One number for each state of each chain, (T, C).

    Returns:
        τ; NaN where the numbers never change.
    """
    length, num = series.shape
    pairs = _positive_pairs(autocorrelation(series))
    total = pairs.cummin(0).values.sum().item() if len(pairs) else 0.0
    return max(2 * total - 1, 1 / math.log10(max(10, length * num)))


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


def r_hat_bound(series: Tensor, level: float = 0.95) -> float:
    """Return what split R̂ of series (T, C) is below, at that probability, of chains that have met.

    R̂² = (n − 1) / n + V / W, where V is the variance of the means of the M = 2C halves, of n
    states each. A half's mean has the variance σ_m² = τσ² / n. If all states are draws of one law
    V / σ_m² is χ² of M − 1 degrees over their number, and with σ_m² estimated within the halves
    about F of M − 1 and ν, so that R̂² < (n − 1) / n + F_level σ_m² / W. The estimate from m
    autocovariances has a relative variance of 2 (2m + 1) / (Mn), which makes ν = Mn / (2m + 1).

    It holds where a half is many times as long as τ; shorter chains exceed it more often.

    | Spectral Analysis and Time Series (Priestley, 1981), for the variance of such sums
    """
    half = len(series) // 2
    halves = torch.cat([series[:half], series[-half:]], dim=1)
    length, num = halves.shape
    of_mean, lags = _variance_of_mean(halves)
    quantile = f_quantile(level, num - 1, num * length / (2 * lags + 1))
    within = halves.var(0).mean()
    return ((length - 1) / length + quantile * of_mean / within).sqrt().item()


def f_quantile(level: float, above: float, below: float) -> float:
    """Return a quantile of the F distribution: that of .95 within 3 %, from 3 and 4 degrees on.

    The cube root of F is nearly a ratio of normal variables.

    | An Approximate Normalization of the Analysis of Variance Distribution (Paulson, 1942)
    """
    z = statistics.NormalDist().inv_cdf(level)
    a, b = 2 / (9 * above), 2 / (9 * below)
    # ((1 − b) r − (1 − a))² = z² (b r² + a), solved for r = F^(1/3).
    root = z * math.sqrt(a * (1 - b) ** 2 + b * (1 - a) ** 2 - z**2 * a * b)
    return (((1 - a) * (1 - b) + root) / ((1 - b) ** 2 - z**2 * b)) ** 3


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


def _positive_pairs(values: Tensor) -> Tensor:
    """Return sums of two neighbours of (T,), up to the first sum that is negative."""
    pairs = values[: len(values) // 2 * 2].view(-1, 2).sum(1)
    negative = (pairs < 0).nonzero()
    return pairs[: int(negative[0])] if len(negative) else pairs


def _variance_of_mean(series: Tensor) -> tuple[Tensor, int]:
    """Return the variance σ_m² of a chain's mean, found within chains (T, C), and its lags m.

    Deviations are from a chain's own mean, so E γ̂_t = (1 − t / T)(γ_t − σ_m²), nearly. Of
    σ_m² = Σ_|t|≤m (1 − |t| / T) γ_t / T that leaves Σ_|t|≤m γ̂_t = σ_m² (T − m)(T − m − 1) / T.
    """
    length = len(series)
    found = _autocovariance(series).mean(1)
    shrunk = 1 - torch.arange(length, dtype=found.dtype) / length
    of_mean, lags = torch.zeros((), dtype=found.dtype), 1
    # γ̂_t falls to −σ_m², and is negative too soon: the second time the lags end where γ_t does.
    for _ in range(2):
        lags = max(2 * len(_positive_pairs(found + of_mean * shrunk)) - 1, 1)
        left = (length - lags) * (length - lags - 1) / length
        if not left:  # The chains are shorter than their memory.
            return torch.full_like(of_mean, math.inf), lags
        of_mean = (2 * found[: lags + 1].sum() - found[0]).clamp_min(0) / left
    return of_mean, lags


def _autocovariance(series: Tensor) -> Tensor:
    """Return γ_t of each chain, Σ_i (s_i − s̄)(s_i+t − s̄) / T, (T, C)."""
    length = len(series)
    spectrum = torch.fft.rfft(series - series.mean(0), n=2 * length, dim=0)
    summed: Tensor = torch.fft.irfft(spectrum.abs().square(), n=2 * length, dim=0)
    return summed[:length] / length
