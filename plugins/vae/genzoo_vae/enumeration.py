"""Sums over all values of discrete latents, for small models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo_vae.estimators.expectation import Draws, Layer
from genzoo_vae.families.discrete import DiscreteFamily
from genzoo_vae.posteriors.proposal import Proposal, Rows

if TYPE_CHECKING:
    from genzoo_vae.latents import LatentModel

MAX_STATES = 2**12
"""The largest number of states of all layers that are summed."""


def num_states(model: LatentModel[Any]) -> float:
    """Return the number of values of all latents together; infinite for continuous ones."""
    families = model.families
    if not all(isinstance(family, DiscreteFamily) for family in families):
        return math.inf
    return math.prod(f.num_states for f in families if isinstance(f, DiscreteFamily))


def states(model: LatentModel[Any], num_rows: int) -> tuple[Tensor, ...]:
    """Return all values of all layers, from the one next to x up, (S, B, *shape) each."""
    each = [
        family.states(model.device, model.dtype)
        for family in model.families
        if isinstance(family, DiscreteFamily)
    ]
    places = [torch.arange(len(values), device=model.device) for values in each]
    grid = torch.cartesian_prod(*places).view(-1, len(each))
    return tuple(
        values[grid[:, i]][:, None].expand(-1, num_rows, *values.shape[1:])
        for i, values in enumerate(each)
    )


def log_joint(model: LatentModel[Any], rows: Rows, z: tuple[Tensor, ...]) -> Tensor:
    """Return log p(x, z), (S, B), of the values of all layers."""
    return model.log_likelihood(rows, z[0]) + model.log_prior(z, rows.y)


def log_q(proposal: Proposal, z: tuple[Tensor, ...]) -> Tensor:
    """Return log q(z | x), (S, B), of the values of all layers, from the one next to x up."""
    drawn: list[Tensor] = []
    layers: list[Layer] = []
    for level in proposal.order:
        layers.append(proposal.layer(drawn))
        drawn.append(z[level])
    return Draws(tuple(layers), tuple(drawn)).log_q


def log_evidence(model: LatentModel[Any], rows: Rows) -> Tensor:
    """Return log p(x) = log Σ_z p(x, z), (B,)."""
    return log_joint(model, rows, states(model, len(rows.x))).logsumexp(0)


def elbo(proposal: Proposal, log_p: Tensor, z: tuple[Tensor, ...]) -> Tensor:
    """Return Σ_z q(z | x) (log p(x, z) − log q(z | x)), (B,).

    Arguments:
        proposal: q.
        log_p: log p(x, z) of all values, from `log_joint`.
        z: The values, from `states`.
    """
    log_q_z = log_q(proposal, z)
    return (log_q_z.exp() * (log_p - log_q_z)).sum(0)
