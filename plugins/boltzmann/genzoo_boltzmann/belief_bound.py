"""The likelihood of a deep belief net: the sum over its hidden layers, or its variational bound.

Both leave out log Z of the machine at the top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo.plugin import Note, by_blocks
from genzoo_boltzmann import enumeration
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.precision import full_precision

if TYPE_CHECKING:
    from genzoo_boltzmann.dbn import DBN

NOTE = Note(
    "variational",
    "The hidden units are too many to sum over: log p is replaced by its variational lower bound.",
)
_ROWS = 1024
_DRAWS_AT_ONCE = 8192


def log_bernoulli(h: Tensor, logits: Tensor) -> Tensor:
    """Return Σ_i log p(h_i), (B,), of units h (B, D) with probabilities σ(logits)."""
    return (h * logits - F.softplus(logits)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy of independent units with probabilities σ(logits), (B,), in nats."""
    return (F.softplus(logits) - logits.sigmoid() * logits).sum(-1)


def sums(model: DBN, x: Tensor) -> Tensor:
    """Return log p(x) + log Z of examples (N, *event_shape), (N,), in float64."""
    return by_blocks(
        lambda rows: exact(model, _visible(model, x[rows])), len(x), _ROWS, independent=True
    )


def bounds(model: DBN, x: Tensor, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the bounds of log p(x) + log Z and their standard errors, (N,); see `estimate`."""
    errors = torch.empty(len(x), dtype=torch.float64)

    def bound(rows: slice) -> Tensor:
        mean, error = estimate(model, _visible(model, x[rows]), num, generator)
        errors[rows] = error.cpu()
        return mean

    return by_blocks(bound, len(x), max(1, _DRAWS_AT_ONCE // num)), errors


def _visible(model: DBN, x: Tensor) -> Tensor:
    return x.flatten(1).to(model.device, torch.float64)


def exact(model: DBN, v: Tensor, level: int = 0) -> Tensor:
    """Return the log of Σ p(h_l | h_{l+1}) ⋯ p*(h_{L−1}) over the layers above ``level``, (B,).

    For level 0 that is log p(v) + log Z. The sum over a layer's states is made for each state of
    the layer below it, so it takes as long as the products of the numbers of states of neighbours.

    Arguments:
        model: The net.
        v: Units of the layer ``level``, (B, D_l), in float64.
        level: The layer, 0 for the visible one.
    """
    if level == len(model.machines) - 1:
        return -model.top.free_energies(v)
    rbm = model.machines[level]

    def log_joint(h: Tensor, W: Tensor, b: Tensor) -> Tensor:
        logits = torch.addmm(b, h, W.T)
        above = exact(model, h, level + 1) - F.softplus(logits).sum(1)
        return torch.addmm(above[:, None], logits, v.T)

    return enumeration.log_sum(log_joint, len(rbm.c), rbm.W.double(), rbm.b.double())


@torch.no_grad()
def estimate(model: DBN, v: Tensor, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return E_q[log p*(h_{L−1}) + Σ_l log p(h_l | h_{l+1})] + H(q) and its standard error, (B,).

    The expectation is a mean over ``num`` draws for each row. The entropy of each layer given the
    one below is exact.

    Arguments:
        model: The net.
        v: Visible units, (B, V), in float64.
        num: The number of draws for each row, at least 1.
        generator: The generator, on the model's device.
    """
    with full_precision(model.device):
        found = _of_draws(model, v.repeat_interleave(num, 0), generator).view(len(v), num)
    error = found.std(1) / num**0.5 if num > 1 else torch.full_like(found[:, 0], torch.nan)
    return found.mean(1), error


def _of_draws(model: DBN, h: Tensor, generator: torch.Generator) -> Tensor:
    """Return the bound of one draw of q for each row of visible units (B, V), (B,)."""
    found = h.new_zeros(len(h))
    for level, rbm in enumerate(model.machines[:-1]):
        logits = model.recognition_logits(level, h.to(model.dtype)).double()
        above = bernoulli(logits.sigmoid(), generator)
        down = torch.addmm(rbm.b.double(), above, rbm.W.double().T)
        found += log_bernoulli(h, down) + entropy(logits)
        h = above
    return found - model.top.free_energies(h)
