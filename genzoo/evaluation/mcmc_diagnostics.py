"""Diagnostics of Markov chains: convergence and effective sample size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from genzoo.capabilities import SupportsEnergy
from genzoo.conditions import spread
from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Note, Unit
from genzoo.evaluation.metric import Case, Metric
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.sampler import Sampler
from genzoo.sampling import own_sampler
from genzoo.values import trusted

_LEAST = 8
_LONG = 50
_CLOSE = 1.01
_LEVEL = 0.95
_FEW = Note("few-states", f"fewer than {_LEAST} states of a chain are left.", unreliable=True)
_STILL = Note("no-change", "no chain's statistic ever changes.", unreliable=True)
_SHORT = Note(
    "chains-short", f"the chains are shorter than {_LONG} autocorrelation times.", unreliable=True
)


@dataclass(frozen=True, kw_only=True)
class ChainConfig(Config):
    """The diagnostics of chains."""

    num_chains: Annotated[int, Bounds(2, 10**5)] = 16
    """The number of parallel chains."""
    num_states: Annotated[int, Bounds(_LEAST, 10**7)] = 1000
    """The maximum number of evaluated states per chain; an equal number is discarded before."""


class ChainDiagnostics(Metric[ChainConfig]):
    """Autocorrelation time, effective sample size and split R̂ of the model's own chains.

    They are computed from one number per state: the energy if the model has one, else the mean of
    x. The first half of the states is discarded. A good R̂ shows that no problem was found, not
    that the whole distribution is reached. Converged chains have R̂ > 1 too, especially short
    ones: a note is added if it is above 1.01 and above the 95 % quantile of converged chains of
    this length. Errors are a jackknife over chains.
    """

    Config = ChainConfig
    effort_fields = ("num_chains", "num_states")
    goals: ClassVar = {
        "autocorrelation-time": Goal("lower"),
        "effective-sample-size": Goal("higher"),
        "r-hat": Goal("near", 1.0),
    }

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        sampler = own_sampler(model)
        if not sampler.is_markov_chain:
            return f"the model's sampler, {type(sampler).__name__}, is not a Markov chain"
        return super().inapplicable_reason(model, data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the three figures."""
        sampler = case.sampler
        if sampler is None or not sampler.is_markov_chain:
            sampler = own_sampler(case.model)
        series = self._series(case, sampler)
        facts = {
            "chain": type(sampler).__name__,
            "chains": series.shape[1],
            "states": series.shape[0],
            "statistic": "energy" if isinstance(case.model, SupportsEnergy) else "mean of x",
        }
        return diagnosed(series, facts)

    def _series(self, case: Case, sampler: Sampler) -> Tensor:
        """Return the statistic of the second half of each chain's states, (T, C) float64."""
        num = self.config.num_chains
        condition = spread(case.model, case.model.conditions_of(case.rows(num)), num)
        states = sampler.trajectory(case.model, num, condition=condition, generator=case.generator)
        statistics = [
            _statistic(case.model, state) for state in islice(states, 2 * self.config.num_states)
        ]
        series = torch.stack(statistics)
        return series[len(series) // 2 :]


def diagnosed(series: Tensor, provenance: dict[str, Any]) -> dict[str, Estimate]:
    """Return the figures from one number per state of each chain, (T, C) float64."""
    length, num = series.shape
    notes = _notes(series)
    figures: dict[str, tuple[Callable[[Tensor], float], Unit]] = {
        "autocorrelation-time": (autocorrelation_time, "states"),
        "effective-sample-size": (lambda s: series.numel() / autocorrelation_time(s), "states"),
        "r-hat": (split_r_hat, ""),
    }
    sound = length >= _LEAST and _STILL not in notes
    return {
        name: Estimate(
            value=figure(series) if sound else math.nan,
            std_error=jackknife_error(figure, series) if sound else math.nan,
            kind="stochastic estimate",
            unit=unit,
            num_samples=length * num,
            notes=notes,
            provenance=provenance,
        )
        for name, (figure, unit) in figures.items()
    }


def _notes(series: Tensor) -> tuple[Note, ...]:
    """Return the reasons why the figures of series (T, C) are unreliable."""
    if len(series) < _LEAST:
        return (_FEW,)
    if bool((series.var(0) == 0).all()):
        return (_STILL,)
    notes = []
    if len(series) < _LONG * autocorrelation_time(series):
        notes.append(_SHORT)
    r_hat, bound = split_r_hat(series), r_hat_bound(series, _LEVEL)
    if r_hat > max(_CLOSE, bound):
        met = f"of chains of this length that have met {_LEVEL:.0%} stay below {bound:.3f}"
        text = f"The chains are not shown to have met: split R̂ is {r_hat:.3f}, and {met}."
        notes.append(Note("not-met", text))
    return tuple(notes)


def _statistic(model: Model, state: Tensor) -> Tensor:
    """Return one number for each chain's state, (C,) float64 on the CPU."""
    x = model.to_data(state)
    # States may lie outside of the space of data, as real values do between grey levels.
    with trusted():
        statistic = model.energy(x) if isinstance(model, SupportsEnergy) else x.flatten(1).mean(1)
    return statistic.double().cpu()


def autocorrelation_time(series: Tensor) -> float:
    """Return τ = 1 + 2 Σ_t ρ_t, the number of states that are worth one independent draw.

    The sum is Geyer's initial monotone sequence: it ends before the first negative pair ρ_2k +
    ρ_2k+1, and no pair counts more than the previous one. ρ_t is computed over all chains
    together, so τ is long if chains have not converged. Alternating chains may have τ < 1; it is
    at least 1 / log₁₀(TC).

    | Practical Markov Chain Monte Carlo (Geyer, 1992)
    | Rank-Normalization, Folding, and Localization: An Improved R-hat for Assessing Convergence
    | of MCMC (Vehtari, Gelman, Simpson, Carpenter, Bürkner, 2021)

    Arguments:
        series: One number for each state of each chain, (T, C).

    Returns:
        τ; NaN if the numbers never change.
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
    """Return R̂ = (var⁺ / W)^½ of the chains' halves, series (T, C): 1 if they have converged.

    | Bayesian Data Analysis (Gelman, Carlin, Stern, Dunson, Vehtari, Rubin, 2013)
    """
    half = len(series) // 2
    within, total = variances(torch.cat([series[:half], series[-half:]], dim=1))
    return (total / within).sqrt().item()


def r_hat_bound(series: Tensor, level: float = 0.95) -> float:
    """Return the quantile of split R̂ of series (T, C) for converged chains.

    R̂² = (n − 1) / n + V / W, where V is the variance of the means of the M = 2C halves, of n
    states each. A half's mean has the variance σ_m² = τσ² / n. If all states are draws from one
    distribution, V / σ_m² is χ² of M − 1 degrees over their number, and with σ_m² estimated within
    the halves approximately F of M − 1 and ν, so R̂² < (n − 1) / n + F_level σ_m² / W. The
    estimate from m autocovariances has a relative variance of 2 (2m + 1) / (Mn), which makes ν =
    Mn / (2m + 1).

    It holds if a half is many times as long as τ; shorter chains exceed it more often.

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
    """Return a quantile of the F distribution, at .95 within 3 % from 3 and 4 degrees on.

    The cube root of F is approximately a ratio of normal variables.

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
    """Return a figure's jackknife standard error over the chains of (T, C)."""
    num = series.shape[1]
    if num < 3:
        return math.inf
    kept = [[j for j in range(num) if j != i] for i in range(num)]
    values = torch.tensor([figure(series[:, index]) for index in kept], dtype=torch.float64)
    return math.sqrt((num - 1) / num * (values - values.mean()).square().sum().item())


def _positive_pairs(values: Tensor) -> Tensor:
    """Return sums of pairs of neighbours of (T,), up to the first negative sum."""
    pairs = values[: len(values) // 2 * 2].view(-1, 2).sum(1)
    negative = (pairs < 0).nonzero()
    return pairs[: int(negative[0])] if len(negative) else pairs


def _variance_of_mean(series: Tensor) -> tuple[Tensor, int]:
    """Return the variance σ_m² of a chain's mean, estimated within chains (T, C), and its lags m.

    Deviations are from a chain's own mean, so approximately E γ̂_t = (1 − t / T)(γ_t − σ_m²). With
    σ_m² = Σ_|t|≤m (1 − |t| / T) γ_t / T that leaves Σ_|t|≤m γ̂_t = σ_m² (T − m)(T − m − 1) / T.
    """
    length = len(series)
    covariance = _autocovariance(series).mean(1)
    shrunk = 1 - torch.arange(length, dtype=covariance.dtype) / length
    of_mean, lags = torch.zeros((), dtype=covariance.dtype), 1
    # γ̂_t falls to −σ_m² and becomes negative too soon; in the second pass the lags end with γ_t.
    for _ in range(2):
        lags = max(2 * len(_positive_pairs(covariance + of_mean * shrunk)) - 1, 1)
        left = (length - lags) * (length - lags - 1) / length
        if not left:  # The chains are shorter than their autocorrelation.
            return torch.full_like(of_mean, math.inf), lags
        of_mean = (2 * covariance[: lags + 1].sum() - covariance[0]).clamp_min(0) / left
    return of_mean, lags


def _autocovariance(series: Tensor) -> Tensor:
    """Return γ_t of each chain, Σ_i (s_i − s̄)(s_i+t − s̄) / T, (T, C)."""
    length = len(series)
    spectrum = torch.fft.rfft(series - series.mean(0), n=2 * length, dim=0)
    summed: Tensor = torch.fft.irfft(spectrum.abs().square(), n=2 * length, dim=0)
    return summed[:length] / length
