"""What is logged of a machine that learns, and what it says of the machine's health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import Goal, Meaning
from genzoo_boltzmann.machine import Machine, Phase

# A unit that is on in fewer of the rows, or off in fewer, says next to nothing of a row.
_RARE = 0.01
# The error of the largest singular value falls with the 20th power of σ₂/σ₁.
_POWER_STEPS = 5
_NONE = Goal("none")

WEIGHTS = ("largest_singular_value", "effective_rank")

MEANINGS: Mapping[str, Meaning] = {
    "hidden_activity": Meaning(
        "mean probability of hidden units given the data",
        unit="share",
        goal=_NONE,
        healthy="it is steady and away from 0 and 1",
    ),
    "dead_hidden": Meaning(
        "hidden units whose mean probability given the data is below 1 %",
        unit="share",
        goal=Goal("lower", 0.0),
        healthy="it stays near 0; if it grows, lower the learning rate, or set sparsity_cost with "
        "a higher sparsity_target",
    ),
    "saturated_hidden": Meaning(
        "hidden units whose mean probability given the data is above 99 %",
        unit="share",
        goal=Goal("lower", 0.0),
        healthy="it stays near 0; if it grows, lower the learning rate, use the centred gradient "
        "or set sparsity_cost",
    ),
    "free_energy": Meaning(
        "mean free energy, −log p up to a constant that changes with the weights",
        unit="nats",
        goal=_NONE,
        healthy="training and held-out rows stay together",
    ),
    "free_energy_gap": Meaning(
        "mean free energy of held-out rows minus that of the last batch of training rows",
        unit="nats",
        goal=Goal("near", 0.0),
        healthy="it is noisy around a small value; if it grows steadily, the machine overfits: "
        "stop earlier, take fewer hidden units or more weight_decay",
    ),
    "largest_singular_value": Meaning(
        "largest singular value of the weights between visible and hidden units",
        goal=_NONE,
        healthy="it grows at first and levels off; chains of a machine with large weights do not "
        "mix: lower the learning rate, or set weight_decay",
    ),
    "effective_rank": Meaning(
        "stable rank of these weights: the sum of squared singular values over the largest one",
        goal=_NONE,
        healthy="it falls while the first features are learned, then rises; near 1, all hidden "
        "units have learned the same: lower the learning rate",
    ),
    "chain_time": Meaning(
        "integrated autocorrelation time of the energies of the persistent chains",
        unit="updates",
        goal=Goal("lower"),
        healthy="it stays below about a hundred; if it grows, take more sweeps (num_steps), a "
        "lower learning rate or weight_decay",
    ),
}


def of_rows(phase: Phase, energies: Tensor) -> dict[str, Tensor]:
    """Return what rows of data show, as scalars: free energy and how much hidden units are on."""
    activity = phase.p.mean(0)
    return {
        "hidden_activity": phase.p.mean(),
        "dead_hidden": (activity < _RARE).to(activity.dtype).mean(),
        "saturated_hidden": (activity > 1 - _RARE).to(activity.dtype).mean(),
        "free_energy": energies.mean(),
    }


@torch.no_grad()
def of_weights(model: Machine[Any]) -> dict[str, Tensor]:
    """Return what the weights show: the largest singular value, and the stable rank.

    The stable rank is ‖W‖²_F / σ₁², from 1 to the rank.

    | Sampling from Large Matrices: An Approach through Geometric Functional Analysis
    | (Rudelson, Vershynin, 2007)
    """
    W = model.connections()
    norms = torch.linalg.vector_norm(W, dim=1)
    largest = _largest_singular_value(W, W[norms.argmax()])
    rank = norms.square().sum() / largest.square().clamp_min(torch.finfo(W.dtype).tiny)
    return {"largest_singular_value": largest, "effective_rank": rank}


def _largest_singular_value(W: Tensor, x: Tensor) -> Tensor:
    """Return the largest singular value of a matrix by power iteration from x, from below.

    All singular values of 784 × 500 weights take as long as twenty updates.
    """
    tiny = torch.finfo(W.dtype).tiny
    for _ in range(_POWER_STEPS):
        x = W.T @ (W @ (x / x.norm().clamp_min(tiny)))
    found: Tensor = (W @ (x / x.norm().clamp_min(tiny))).norm()
    return found


def chain_time(before: Tensor, after: Tensor) -> Tensor:
    """Return the integrated autocorrelation time of chains' energies, in updates.

    With ρ the correlation over chains of the energies before and after an update, it is that of an
    autoregressive process, 1 + 2 Σ_t ρᵗ = (1 + ρ)/(1 − ρ). It does not see that chains stay in
    their modes, if these have the same energies; the metric `chain-diagnostics` sees slow parts.

    Arguments:
        before: The energies of the chains before the sweeps, (M,).
        after: Those after them, (M,).
    """
    a, b = (x.double() - x.double().mean() for x in (before, after))
    rho = (a @ b) / (a.norm() * b.norm()).clamp_min(1e-300)
    time: Tensor = (1 + rho) / (1 - rho).clamp_min(1e-9)
    return time
