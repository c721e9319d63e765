"""The partition function, by enumeration and by annealed importance sampling in both directions.

The logarithm of an unbiased estimate of Z is too low on average, so a likelihood computed from it
is too good on average. The reverse estimate errs to the other side. Both miss a mode that
annealing does not find. Reverse chains that start at rows of data show it, if the data are in that
mode. Modes that none of these chains visits are not detected.

| Annealed Importance Sampling (Neal, 2001)
| On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov, Murray, 2008)
| Accurate and Conservative Estimates of MRF Log-likelihood using Reverse Annealing
| (Burda, Grosse, Salakhutdinov, 2015)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import (
    CapabilityError,
    ConfigError,
    Estimate,
    Note,
    fresh_generator,
    suggest,
)
from genzoo_boltzmann.annealing import (
    Annealed,
    anneal,
    annealed_start,
    effective_sample_size,
    estimate_of,
    published_betas,
    schedule_of,
)
from genzoo_boltzmann.log_partition import LogPartition
from genzoo_boltzmann.path import Path
from genzoo_boltzmann.precision import full_precision

if TYPE_CHECKING:
    from genzoo_boltzmann.machine import Machine

MAX_ENUMERATED = 22
NUM_CHAINS = 100
_DISAGREEMENT = Note(
    "directions-disagree",
    "log Z by reverse AIS is above that by AIS, and the intervals of ±3 standard errors do not "
    "meet: some chains miss a mode that others are in. The truth is probably in the interval.",
    unreliable=True,
)
_DIFFERENCE = Note(
    "starts-differ",
    "Two of the intervals of log Z, ±3 standard errors each, do not meet, but none is above that "
    "of AIS: the reverse chains do not start in the machine's own shares of its modes.",
)


def estimate(
    model: Machine[Any], method: str, *, generator: torch.Generator | None = None, **options: Any
) -> LogPartition:
    """Return log Z by one of the methods "exact", "ais" and "reverse-ais".

    Raises:
        ConfigError: The method is unknown.
    """
    if method == "exact":
        return exact(model)
    if method not in ("ais", "reverse-ais"):
        raise ConfigError(
            f"No such method: {method!r}. {suggest(method, ['exact', 'ais', 'reverse-ais'])}"
        )
    run = ais if method == "ais" else reverse_ais
    return run(model, generator=generator or fresh_generator(model.device), **options)


def best(
    model: Machine[Any],
    *,
    start: Tensor | None = None,
    generator: torch.Generator | None = None,
    num_chains: int = NUM_CHAINS,
    betas: Tensor | None = None,
    num_burn_in: int = 5000,
) -> LogPartition:
    """Return log Z exactly if possible, else by AIS, with an interval from reverse AIS.

    Arguments:
        model: The machine.
        start: Rows of data, (N, V) or (N, *event_shape), at which half of the reverse chains
            start, or None.
        generator: The generator, on the model's device.
        num_chains: The number of chains in each direction.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        num_burn_in: The number of Gibbs sweeps before the reverse annealing.
    """
    if model.num_bits <= MAX_ENUMERATED:
        return exact(model)
    return bracketed(
        model,
        start=start,
        generator=generator,
        num_chains=num_chains,
        betas=betas,
        num_burn_in=num_burn_in,
    )


def bracketed(
    model: Machine[Any],
    *,
    start: Tensor | None = None,
    generator: torch.Generator | None = None,
    num_chains: int = NUM_CHAINS,
    betas: Tensor | None = None,
    num_burn_in: int = 5000,
) -> LogPartition:
    """Return log Z by AIS, with an interval from reverse AIS; see `best` for the arguments."""
    generator = generator or fresh_generator(model.device)
    forward = ais(model, generator=generator, num_chains=num_chains, betas=betas)
    backward = reverse_halves(
        model,
        start,
        generator=generator,
        num_chains=num_chains,
        betas=betas,
        num_burn_in=num_burn_in,
    )
    return with_interval(forward, *backward)


def num_rows(model: Machine[Any], num_chains: int) -> int:
    """Return the number of rows at which `best` starts reverse chains; 0 if log Z is exact."""
    return 0 if model.num_bits <= MAX_ENUMERATED else num_chains // 2


def with_interval(
    forward: LogPartition, backward: LogPartition, from_rows: LogPartition | None = None
) -> LogPartition:
    """Return the forward estimate with an interval that covers all estimates with 3σ.

    If reverse chains find a larger log Z and their interval does not overlap that of the forward
    chains, some miss a mode that others are in, and the figure is unreliable. A smaller log Z does
    not contradict the forward estimate: by Markov's inequality this is more than t nats too high
    with a probability of at most e^−t. The interval covers both.

    Arguments:
        forward: By AIS.
        backward: By reverse AIS.
        from_rows: By reverse AIS with chains that start at rows of data.
    """
    named = {"reverse": ("reverse AIS", backward), "rows": ("reverse AIS from rows", from_rows)}
    found = {code: (name, log_z) for code, (name, log_z) in named.items() if log_z is not None}
    estimates = {"AIS": forward.estimate} | {n: log_z.estimate for n, log_z in found.values()}
    lows, highs = zip(*(e.interval or (e.value, e.value) for e in estimates.values()), strict=True)
    values = ", ".join(f"by {name} {estimate.value:.2f}" for name, estimate in estimates.items())
    notes = [*forward.estimate.notes]
    for code, (name, log_z) in found.items():
        notes += [
            dataclasses.replace(note, code=f"{code}-{note.code}", text=f"By {name}, {note.text}")
            for note in log_z.estimate.notes
        ]
    if max(lows) > highs[0]:
        notes.insert(0, _DISAGREEMENT)
    elif max(lows) > min(highs):
        notes.append(_DIFFERENCE)
    notes.append(Note("both-ways", f"log Z {values}."))
    joined = dataclasses.replace(
        forward.estimate, interval=(min(lows), max(highs)), notes=tuple(notes)
    )
    return LogPartition(joined, forward.log_weights)


@torch.no_grad()
def exact(model: Machine[Any]) -> LogPartition:
    """Sum over all states of one block of units, in float64; see `Machine.log_sum`.

    Raises:
        CapabilityError: The smallest such block has more than 2^22 states.
    """
    if model.num_bits > MAX_ENUMERATED:
        raise CapabilityError(
            f"log Z is a sum over 2^{model.num_bits:.4g} states; up to 2^{MAX_ENUMERATED} can be "
            "enumerated. Use method='ais' and method='reverse-ais'."
        )
    value = Estimate(
        value=float(model.log_sum()),
        std_error=0.0,
        kind="exact",
        unit="nats",
        num_samples=round(2**model.num_bits),
    )
    return LogPartition(value, torch.empty(0, dtype=torch.float64))


def differentiable(model: Machine[Any]) -> Tensor:
    """Return log Z, a float64 scalar with its graph.

    Raises:
        CapabilityError: The machine is too large to enumerate; the gradient of an estimate by
            annealing is not useful.
    """
    if model.num_bits > MAX_ENUMERATED:
        raise CapabilityError(
            f"log Z of 2^{model.num_bits:.4g} states is estimated by annealing, which has no "
            "useful gradient. Train with the objective 'pcd' or 'cd'; for the value alone, call "
            "log_prob under torch.no_grad()."
        )
    return model.log_sum()


def ais(
    model: Machine[Any],
    *,
    generator: torch.Generator,
    num_chains: int = NUM_CHAINS,
    betas: Tensor | None = None,
    path: Path | None = None,
) -> LogPartition:
    """Anneal chains from independent units to the machine.

    log w = Σ_k log p*_{β_k}(v_k) − log p*_{β_{k−1}}(v_k), with v_{k+1} from a sweep at β_k;
    Ẑ = Z₀ · mean(w) is unbiased.

    Arguments:
        model: The machine.
        generator: The generator, on the model's device.
        num_chains: The number of chains.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        path: The tempered distributions; by default the machine's own.
    """
    path = path or model.path(dtype=_dtype(model))
    schedule = schedule_of(betas)
    with full_precision(model.device):
        chains = anneal(path, path.start(num_chains, generator), schedule, generator)
    return _from_chains(path, chains, sign=1)


def reverse_ais(
    model: Machine[Any],
    *,
    generator: torch.Generator,
    num_chains: int = NUM_CHAINS,
    betas: Tensor | None = None,
    start: Tensor | None = None,
    num_burn_in: int = 5000,
) -> LogPartition:
    """Anneal chains from the machine to independent units: 1 / Ẑ is unbiased.

    The chains must start at the machine's own distribution, which only long sampling can approach.
    An error of the start is an error of the estimate.

    Arguments:
        model: The machine.
        generator: The generator, on the model's device.
        num_chains: The number of chains, if no start is given.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        start: Initial states (num_chains, V) of the burn-in, such as data; by default chains
            annealed to the machine and resampled by their weights.
        num_burn_in: The number of Gibbs sweeps before annealing.
    """
    path, schedule = model.path(dtype=_dtype(model)), schedule_of(betas)
    with full_precision(model.device):
        if start is None:
            start = annealed_start(path, num_chains, generator)
        v = _burned_in(path, _states(model, path, start, generator), num_burn_in, generator)
        chains = anneal(path, v, schedule[::-1], generator)
    return _from_chains(path, chains, sign=-1)


def reverse_halves(
    model: Machine[Any],
    rows: Tensor | None,
    *,
    generator: torch.Generator,
    num_chains: int = NUM_CHAINS,
    betas: Tensor | None = None,
    num_burn_in: int = 5000,
) -> tuple[LogPartition, ...]:
    """Anneal back from the machine, half of the chains from annealed states and half from rows.

    Chains that annealing brought to the machine are in the modes that annealing finds, so both
    directions miss the same one. Rows are in the modes that the data have, but in the data's
    shares: sweeps let a chain forget its row, and seldom its mode. So the halves are two
    estimates, and they are not averaged: the mean of the weights would be that of the half that
    finds the smaller log Z.

    Arguments:
        model: The machine.
        rows: States (N, V) or (N, *event_shape), drawn without replacement, and repeatedly if
            there are too few; None leaves one estimate.
        generator: The generator, on the model's device.
        num_chains: The number of chains of both halves together.
        betas: The temperatures, from 0 to 1; `published_betas` by default.
        num_burn_in: The number of Gibbs sweeps before annealing.
    """
    path, schedule = model.path(dtype=_dtype(model)), schedule_of(betas)
    num = num_chains if rows is None else num_chains - num_chains // 2
    with full_precision(model.device):
        v = annealed_start(path, num, generator)
        if rows is not None:
            drawn = _drawn(rows, num_chains - num, generator)
            v = torch.cat([v, _states(model, path, drawn, generator)])
        v = _burned_in(path, v, num_burn_in, generator)
        chains = anneal(path, v, schedule[::-1], generator)
    halves = [chains[:num], chains[num:]]
    return tuple(_from_chains(path, half, sign=-1) for half in halves if len(half.v))


def _burned_in(path: Path, v: Tensor, num: int, generator: torch.Generator) -> Tensor:
    for _ in range(num):
        v = path.sweep(v, generator)
    return v


def _from_chains(path: Path, chains: Annealed, *, sign: int) -> LogPartition:
    log_weights = sign * path.log_z0 + chains.log_weights
    return LogPartition(estimate_of(log_weights, chains.divergence, sign=sign), log_weights)


def _dtype(model: Machine[Any]) -> torch.dtype:
    """Return the dtype of annealing: at least float32, whatever the dtype of the weights."""
    return torch.promote_types(model.dtype, torch.float32)


def _states(model: Machine[Any], path: Path, rows: Tensor, generator: torch.Generator) -> Tensor:
    """Return rows of data, or states, as states of the path."""
    return model.states(rows, generator).to(path.dtype)


def _drawn(rows: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw rows; each one equally often, up to one."""
    order = torch.randperm(len(rows), generator=generator, device=generator.device)
    again = torch.arange(num, device=order.device) % len(rows)
    return rows[order[again].to(rows.device)]


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
    "reverse_halves",
    "with_interval",
]
