"""Annealed importance sampling: chains, their weights, and the quality of these.

| Annealed Importance Sampling (Neal, 2001)
| The Sample Size Required in Importance Sampling (Chatterjee, Diaconis, 2018)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.plugin import ConfigError, Estimate, Note, progress_bar
from genzoo_boltzmann.path import Path

MIN_EFFECTIVE_SAMPLES = 10.0
_POOL = 10
# The divergence of the steps is measured once per stretch with few chains, in a fiftieth of the
# time.
_STRETCHES = 50
_PROBED_CHAINS = 10


@dataclass(frozen=True)
class Annealed:
    """The chains at the end of a schedule.

    Arguments:
        v: Their visible units, (num_chains, V).
        log_weights: Σ_k u_k, where u_k = log p*_k − log p*_{k−1} of the state before the sweep of
            step k, (num_chains,), float64.
        divergence: The divergence of the steps of the schedule, in nats; see `anneal`.
    """

    v: Tensor
    log_weights: Tensor
    divergence: float

    def __getitem__(self, rows: slice) -> Annealed:
        """Return some of the chains."""
        return Annealed(self.v[rows], self.log_weights[rows], self.divergence)


def anneal(
    path: Path, v: Tensor, schedule: Sequence[float], generator: torch.Generator
) -> Annealed:
    """Anneal chains from the first to the last temperature, with one sweep at each.

    The divergence is ½ Σ_k J_k with J_k = E_{p_k}[u_k] − E_{p_{k−1}}[u_k], which is the sum of the
    two Kullback-Leibler divergences between the distributions before and after step k. It is
    estimated from the change of u_k in a few chains from p_{k−1} to p_k. For small steps, each of
    the two divergences is ½ Var(u_k). Importance sampling of p by q needs about exp(KL(p ‖ q))
    draws.

    Arguments:
        path: The distributions.
        v: States at the first temperature, (num_chains, V).
        schedule: Temperatures β in [0, 1], rising or falling.
        generator: The generator, on the model's device.
    """
    log_w = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    moved = log_w.new_zeros(())
    with progress_bar("Annealing", "temperature", len(schedule) - 1) as shown:
        for stretch in _stretches(schedule):
            before = _probe(path, v, stretch)
            for old, new in itertools.pairwise(stretch):
                change, v = path.step(v, old, new, generator)
                log_w += change
            moved += _longest(stretch) * (_probe(path, v, stretch) - before)
            shown.update(len(stretch) - 1)
    return Annealed(v, log_w, float(moved) / 2)


def _stretches(schedule: Sequence[float]) -> list[Sequence[float]]:
    """Cut a schedule into parts; each begins where the previous one ends."""
    num = len(schedule) - 1
    parts = min(num, _STRETCHES)
    ends = [i * num // parts for i in range(parts + 1)]
    return [schedule[first : last + 1] for first, last in itertools.pairwise(ends)]


def _probe(path: Path, v: Tensor, stretch: Sequence[float]) -> Tensor:
    """Return the mean of log p*_last(v) − log p*_first(v) over a few of the chains."""
    few = v[:: max(1, len(v) // _PROBED_CHAINS)]
    return path.change(few, stretch[0], stretch[-1]).mean()


def _longest(stretch: Sequence[float]) -> float:
    """Return the share of a stretch in its longest step.

    In one step over the whole stretch, J would be the change of `_probe`. In n equal steps it is
    1/n of that, because each step has 1/n of the length and 1/n of the change.
    """
    steps = [abs(new - old) for old, new in itertools.pairwise(stretch)]
    return max(steps) / sum(steps)


def annealed_start(path: Path, num: int, generator: torch.Generator) -> Tensor:
    """Draw states approximately from the machine: annealed over a coarse path, then resampled.

    Sweeps do not move chains between modes, so the modes would have their shares from the
    annealing. Resampling chains in proportion to their weights corrects the shares.
    """
    schedule = torch.linspace(0, 1, 1001, dtype=torch.float64).tolist()
    pool = anneal(path, path.start(_POOL * num, generator), schedule, generator)
    p = pool.log_weights.softmax(0)
    return pool.v[torch.multinomial(p, num, replacement=True, generator=generator)]


def published_betas() -> Tensor:
    """Return the 14,500 temperatures of Salakhutdinov and Murray (2008), and the final 1."""
    return torch.cat(
        [
            torch.linspace(0, 0.5, 501, dtype=torch.float64)[:-1],
            torch.linspace(0.5, 0.9, 4001, dtype=torch.float64)[:-1],
            torch.linspace(0.9, 1, 10_001, dtype=torch.float64),
        ]
    )


def schedule_of(betas: Tensor | None) -> list[float]:
    """Return temperatures that rise from 0 to 1, the published ones by default.

    Raises:
        ConfigError: They do not.
    """
    schedule: list[float] = (published_betas() if betas is None else betas).tolist()
    rising = all(a < b for a, b in itertools.pairwise(schedule))
    if len(schedule) < 2 or schedule[0] != 0 or schedule[-1] != 1 or not rising:
        raise ConfigError("betas must rise from 0 to 1 and have at least two values.")
    return schedule


def effective_sample_size(log_weights: Tensor) -> float:
    """Return (Σw)² / Σw²."""
    if len(log_weights) == 0:
        return math.inf
    return math.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0))


def estimate_of(log_weights: Tensor, divergence: float, *, sign: int) -> Estimate:
    """Average weights of Z (sign 1) or of 1/Z (sign −1), (num_chains,); in nats."""
    num = len(log_weights)
    top = log_weights.max()
    w = (log_weights - top).exp()
    mean = w.mean()
    error = (w.std() / math.sqrt(num) / mean).item() if num > 1 else math.inf
    value = sign * float(top + mean.log())
    below = math.log1p(-3 * error) if 3 * error < 1 else -math.inf
    ends = sorted([value + sign * below, value + sign * math.log1p(3 * error)])
    return Estimate(
        value=value,
        std_error=error,
        kind="stochastic estimate",
        unit="nats",
        num_samples=num,
        interval=(ends[0], ends[1]),
        notes=_notes(log_weights, divergence),
    )


def _notes(log_weights: Tensor, divergence: float) -> tuple[Note, ...]:
    """Return notes on problems of the weights and of the steps.

    All chains may agree because none of them is where the next distribution has its mass; the
    weights then show no problem. About exp(divergence) chains are needed for one that is there, so
    num / exp(divergence) are expected to be. For fewer than 27 chains the limit stays at one nat;
    below it the weights themselves show problems.
    """
    notes, num = [], len(log_weights)
    size = effective_sample_size(log_weights)
    if not size >= MIN_EFFECTIVE_SAMPLES:
        warning = (
            f"the effective sample size of {num} chains is {size:.1f}, "
            f"below {MIN_EFFECTIVE_SAMPLES:.0f}. Take more chains or temperatures."
        )
        notes.append(Note("ess-low", warning, unreliable=True))
    if not divergence <= max(1.0, math.log(num / MIN_EFFECTIVE_SAMPLES)):
        warning = (
            f"the schedule is too coarse: its steps diverge by {divergence:.1f} nats in all, so "
            f"of {num} chains only about {num} × exp(−{divergence:.1f}) are where they should be. "
            "Take more temperatures."
        )
        notes.append(Note("schedule-coarse", warning, unreliable=True))
    return tuple(notes)
