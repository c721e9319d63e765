"""The gradient of a general machine's two phases, by the weight J of each pair and the bias θ.

With u the units of a state and the probabilities of those that are summed out: ∂F/∂J_ij = −u_i u_j
and ∂F/∂θ = −u.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genzoo_boltzmann.machine import Gradients
from genzoo_boltzmann.natural_gradient import Statistics, Term


def contrast(joined: Tensor, u: Tensor, w: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of mean F(data) − mean F(chain) with respect to J and θ.

    The centred gradient is that of the machine around offsets μ, transformed back: ∇J is then a
    difference of covariances around μ, and ∇θ = ∇θ − ∇Jμ.

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)

    Arguments:
        joined: Which units are connected, (N, N).
        u: Units given the data, (B, N).
        w: Units of the chains, (B', N).
        mu: The offsets μ, (N,); zeros for the plain gradient.
    """
    d_theta = w.mean(0) - u.mean(0)
    u, w = u - mu, w - mu
    d_J = (w.T @ w) / len(w) - (u.T @ u) / len(u)
    d_J = d_J * joined
    return d_J, d_theta - d_J @ mu


def statistics(
    joined: Tensor,
    u: Tensor,
    w: Tensor,
    mu: Tensor,
    by_parameter: Callable[[Tensor, Tensor], Gradients],
) -> Statistics:
    """Return u_i u_j of each connected pair, and u, around the offsets, for both phases.

    Arguments:
        joined: As in `contrast`, like all others but the last.
        u: Units given the data.
        w: Units of the chains.
        mu: The offsets.
        by_parameter: Returns the change of each parameter for changes of J and θ.
    """
    i, j = joined.triu().nonzero().T

    def terms(units: Tensor) -> list[Term]:
        x = units - mu
        return [Term(x[:, i] * x[:, j]), Term(x)]

    def step(found: Sequence[Tensor]) -> Gradients:
        d_J = torch.zeros_like(joined, dtype=mu.dtype)
        d_J[i, j] = d_J[j, i] = found[0]
        return by_parameter(d_J, found[1] - d_J @ mu)

    return Statistics(terms(u), terms(w), step)
