"""The partition function: by enumeration, and by annealed importance sampling both ways.

The logarithm of an unbiased estimate of Z is too low on average, so a likelihood made from it is
too good on average. The reverse estimate errs to the other side. Neither knows when it is far
off; the effective sample size of its weights is the warning, and the two together a bracket.

| Annealed Importance Sampling (Neal, 2001)
| On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov, Murray, 2008)
| Accurate and Conservative Estimates of MRF Log-likelihood using Reverse Annealing
| (Burda, Grosse, Salakhutdinov, 2015)
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo import CapabilityError, ConfigError, Estimate, Note
from genzoo.errors import suggest
from genzoo.seeds import fresh
from genzoo_boltzmann.gibbs import sweep
from genzoo_boltzmann.path import TemperedPath

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM

MAX_ENUMERATED = 22
MIN_EFFECTIVE_SAMPLES = 10.0
_BLOCK_BITS = 12
_POOL = 10


@dataclass(frozen=True)
class LogPartition:
    """An estimate of log Z, in nats.

    Arguments:
        estimate: The value with its error, kind, bracket and notes.
        log_weights: The chains' log importance weights of Z, float64; empty where exact.
    """

    estimate: Estimate
    log_weights: Tensor

    @property
    def effective_sample_size(self) -> float:
        """(Σw)² / Σw², at most the number of chains; infinite where exact."""
        return effective_sample_size(self.log_weights)

    def likelihood(self, negative_energy: Estimate) -> Estimate:
        """Return the mean log-likelihood, from the mean of −F(x) with its error.

        The bracket is turned round: a log Z that is too high makes the likelihood too low.
        """
        log_z = self.estimate
        ends = log_z.bracket
        return Estimate(
            value=negative_energy.value - log_z.value,
            std_error=math.hypot(negative_energy.std_error, log_z.std_error),
            kind=log_z.kind,
            unit="nats",
            num_samples=negative_energy.num_samples,
            bracket=ends and (negative_energy.value - ends[1], negative_energy.value - ends[0]),
            notes=log_z.notes,
        )


@torch.no_grad()
def estimate(
    model: RBM, method: str, *, generator: torch.Generator | None = None, **options: Any
) -> LogPartition:
    """Return log Z by one of the methods "exact", "ais" and "reverse-ais".

    Raises:
        ConfigError: There is no such method.
    """
    if method == "exact":
        return exact(model)
    if method not in ("ais", "reverse-ais"):
        raise ConfigError(
            f"No such method: {method!r}. {suggest(method, ['exact', 'ais', 'reverse-ais'])}"
        )
    if generator is None:
        generator = torch.Generator(model.device).manual_seed(fresh())
    run = ais if method == "ais" else reverse_ais
    return run(model, generator=generator, **options)


def best(model: RBM, *, generator: torch.Generator | None = None, **options: Any) -> LogPartition:
    """Return log Z exactly where that can be done, else by AIS, bracketed by the reverse."""
    if min(model.W.shape) <= MAX_ENUMERATED:
        return exact(model)
    forward = estimate(model, "ais", generator=generator, **options)
    backward = estimate(model, "reverse-ais", generator=generator, **options)
    return bracketed(forward, backward)


def bracketed(forward: LogPartition, backward: LogPartition) -> LogPartition:
    """Return the forward estimate with a bracket from both directions, each with its 3σ."""
    ends = [*(forward.estimate.bracket or ()), *(backward.estimate.bracket or ())]
    notes = [*forward.estimate.notes]
    notes += [
        dataclasses.replace(note, code=f"reverse-{note.code}", text=f"By reverse AIS, {note.text}")
        for note in backward.estimate.notes
    ]
    both = forward.estimate.value, backward.estimate.value
    notes.append(Note("both-ways", "log Z by AIS {:.2f}, by reverse AIS {:.2f}.".format(*both)))
    joined = dataclasses.replace(
        forward.estimate, bracket=(min(ends), max(ends)), notes=tuple(notes)
    )
    return LogPartition(joined, forward.log_weights)


@torch.no_grad()
def exact(model: RBM) -> LogPartition:
    """Sum over all states of the smaller layer, in float64.

    log Z = log Σ_h exp(cᵀh + Σ_i log(1 + exp(b + Wh)_i)), or with the layers exchanged.

    Raises:
        CapabilityError: Both layers have more than 22 units.
    """
    W, b, c = model.W.double(), model.b.double(), model.c.double()
    if W.shape[0] < W.shape[1]:
        W, b, c = W.T, c, b
    num = W.shape[1]
    if num > MAX_ENUMERATED:
        raise CapabilityError(
            f"The smaller layer has {num} units; up to {MAX_ENUMERATED} can be enumerated. Use "
            "method='ais' and method='reverse-ais'."
        )
    low, high = min(num, _BLOCK_BITS), max(0, num - _BLOCK_BITS)
    inner = _states(low, W.device)
    total = torch.tensor(-math.inf, dtype=torch.float64, device=W.device)
    for outer in _states(high, W.device):
        h = torch.cat([inner, outer.expand(len(inner), -1)], dim=1)
        log_p = h @ c + F.softplus(torch.addmm(b, h, W.T)).sum(1)
        total = torch.logaddexp(total, log_p.logsumexp(0))
    value = Estimate(
        value=float(total), std_error=0.0, kind="exact", unit="nats", num_samples=2**num
    )
    return LogPartition(value, torch.empty(0, dtype=torch.float64))


@torch.no_grad()
def ais(
    model: RBM,
    *,
    generator: torch.Generator,
    num_chains: int = 100,
    betas: Tensor | None = None,
    base: Literal["base-rates", "uniform"] = "base-rates",
) -> LogPartition:
    """Anneal chains from the base rates to the machine.

    log w = Σ_k log p*_{β_k}(v_k) − log p*_{β_{k−1}}(v_k), with v_{k+1} from a sweep at β_k;
    Ẑ = Z₀ · mean(w) is unbiased.

    Arguments:
        model: The machine.
        generator: Where the randomness comes from, on the model's device.
        num_chains: Chains.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        base: What the path starts from.
    """
    path = TemperedPath(model, uniform=base == "uniform")
    schedule = _schedule(betas)
    v = path.start(num_chains, generator)
    log_w = torch.zeros(num_chains, dtype=torch.float64, device=model.device)
    for old, new in itertools.pairwise(schedule):
        change, v = path.step(v, old, new, generator)
        log_w += change
    return _from_weights(path.log_z0 + log_w, sign=1)


@torch.no_grad()
def reverse_ais(
    model: RBM,
    *,
    generator: torch.Generator,
    num_chains: int = 100,
    betas: Tensor | None = None,
    start: Tensor | None = None,
    num_burn_in: int = 5000,
) -> LogPartition:
    """Anneal chains from the machine to the base rates: 1 / Ẑ is unbiased.

    The chains must start at the machine's own distribution, which only long sampling can come
    near to; what is wrong with the start is wrong with the estimate.

    Arguments:
        model: The machine.
        generator: Where the randomness comes from, on the model's device.
        num_chains: Chains, where no start is given.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        start: States (num_chains, V) to begin burning in from, such as data; by default
            chains annealed to the machine and resampled by their weights.
        num_burn_in: Gibbs sweeps before annealing.
    """
    path = TemperedPath(model)
    schedule = _schedule(betas)[::-1]
    if start is None:
        start = _annealed_start(path, num_chains, generator)
    v = start.flatten(1).to(model.device, model.dtype)
    for _ in range(num_burn_in):
        v = sweep(model, v, generator)
    log_w = torch.zeros(len(v), dtype=torch.float64, device=model.device)
    for old, new in itertools.pairwise(schedule):
        change, v = path.step(v, old, new, generator)
        log_w += change
    return _from_weights(log_w - path.log_z0, sign=-1)


def published_betas() -> Tensor:
    """Return the 14,500 temperatures of Salakhutdinov and Murray (2008), and the final 1."""
    return torch.cat(
        [
            torch.linspace(0, 0.5, 501, dtype=torch.float64)[:-1],
            torch.linspace(0.5, 0.9, 4001, dtype=torch.float64)[:-1],
            torch.linspace(0.9, 1, 10_001, dtype=torch.float64),
        ]
    )


def effective_sample_size(log_weights: Tensor) -> float:
    """Return (Σw)² / Σw²."""
    if len(log_weights) == 0:
        return math.inf
    return math.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0))


def _annealed_start(path: TemperedPath, num: int, generator: torch.Generator) -> Tensor:
    """Draw states nearly from the machine: annealed over a coarse path, then resampled.

    Sweeps alone do not carry chains from mode to mode, so that the shares of the modes would be
    those of the annealing; drawing chains in proportion to their weights puts the shares right.
    """
    schedule = torch.linspace(0, 1, 1001, dtype=torch.float64).tolist()
    v = path.start(_POOL * num, generator)
    log_w = torch.zeros(len(v), dtype=torch.float64, device=v.device)
    for old, new in itertools.pairwise(schedule):
        change, v = path.step(v, old, new, generator)
        log_w += change
    chosen = torch.multinomial(log_w.softmax(0), num, replacement=True, generator=generator)
    return v[chosen]


def _from_weights(log_weights: Tensor, *, sign: int) -> LogPartition:
    """Average weights of Z (sign 1) or of 1/Z (sign −1)."""
    num = len(log_weights)
    top = log_weights.max()
    w = (log_weights - top).exp()
    mean = w.mean()
    error = (w.std() / math.sqrt(num) / mean).item() if num > 1 else math.inf
    value = sign * float(top + mean.log())
    below = math.log1p(-3 * error) if 3 * error < 1 else -math.inf
    ends = sorted([value + sign * below, value + sign * math.log1p(3 * error)])
    found = Estimate(
        value=value,
        std_error=error,
        kind="stochastic estimate",
        unit="nats",
        num_samples=num,
        bracket=(ends[0], ends[1]),
        notes=_notes(log_weights),
    )
    return LogPartition(found, log_weights)


def _notes(log_weights: Tensor) -> tuple[Note, ...]:
    size = effective_sample_size(log_weights)
    if size >= MIN_EFFECTIVE_SAMPLES:
        return ()
    warning = (
        f"the effective sample size of {len(log_weights)} chains is {size:.1f}, "
        f"below {MIN_EFFECTIVE_SAMPLES:.0f}. Take more chains or temperatures."
    )
    return (Note("ess-low", warning, unreliable=True),)


def _schedule(betas: Tensor | None) -> list[float]:
    schedule: list[float] = (published_betas() if betas is None else betas).tolist()
    rising = all(a < b for a, b in itertools.pairwise(schedule))
    if len(schedule) < 2 or schedule[0] != 0 or schedule[-1] != 1 or not rising:
        raise ConfigError("betas must rise from 0 to 1 and hold at least two values.")
    return schedule


def _states(num: int, device: torch.device) -> Tensor:
    """Return all states of ``num`` units, (2^num, num), in float64."""
    index = torch.arange(2**num, device=device)
    return ((index[:, None] >> torch.arange(num, device=device)) & 1).double()


__all__ = [
    "LogPartition",
    "ais",
    "best",
    "bracketed",
    "effective_sample_size",
    "estimate",
    "exact",
    "published_betas",
    "reverse_ais",
]
