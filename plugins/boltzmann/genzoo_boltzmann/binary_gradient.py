"""The gradient of a binary machine's two phases, as one product.

With p = σ(c + vᵀW): ∂F/∂W = −vpᵀ, ∂F/∂b = −v, ∂F/∂c = −p.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genzoo_boltzmann.machine import Gradients, Phase
from genzoo_boltzmann.natural_gradient import Statistics, Term
from genzoo_boltzmann.sparse_binary import binary_addmm, few_ones


def phase(W: Tensor, c: Tensor, v: Tensor) -> Phase:
    """Return the phase of visible units (B, V), for weights without a graph."""
    ones = few_ones(v, W)
    field = binary_addmm(c, v, W, ones).to(v.dtype)  # Autocast would reduce its precision.
    return Phase(v, field.sigmoid_(), ones)


def contrast(
    W: Tensor, c: Tensor, data: Phase, chain: Phase, rates: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of mean F(data) − mean F(chain) with respect to W, b and c.

    Both phases are one product.

    The centred gradient is that of the machine parametrised around offsets μ and λ, E = −(v −
    μ)ᵀW(h − λ) − b'ᵀv − c'ᵀh, transformed back: ∇W = ∇W − μ∇cᵀ − ∇bλᵀ, ∇b = ∇b − ∇Wλ, ∇c = ∇c −
    ∇Wᵀμ. Here μ is the data's base rate and λ = σ(c + μᵀW).

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)

    Arguments:
        W: The weights, (V, H), without a graph as all values here.
        c: The biases of the hidden units, (H,).
        data: The phase of the data, from `phase`.
        chain: The phase of the chains, from `phase`.
        rates: The base rates μ, (V,); None for the plain gradient.
    """
    d_b = chain.state.mean(0) - data.state.mean(0)
    if rates is None:
        p = _signed(data.p, chain.p)
        return _product(data, chain, p), d_b, p.sum(0)
    lam = torch.sigmoid(torch.mv(W.T, rates) + c)
    p = _signed(data.p - lam, chain.p - lam)
    d_c = p.sum(0)
    d_W = _product(data, chain, p).addr_(rates, d_c, alpha=-1)
    return d_W, d_b - d_W @ lam, d_c - d_W.T @ rates


@torch.no_grad()
def statistics(
    parameters: tuple[nn.Parameter, nn.Parameter, nn.Parameter],
    data: Phase,
    chain: Phase,
    rates: Tensor | None,
) -> Statistics:
    """Return vpᵀ, v and p of the rows of both phases, around the offsets of `contrast`.

    Arguments:
        parameters: W, b and c.
        data: The phase of the data, from `phase`.
        chain: The phase of the chains, from `phase`.
        rates: The base rates μ, (V,); None for the plain gradient.
    """
    W, b, c = parameters
    mu = torch.zeros_like(b) if rates is None else rates
    lam = torch.zeros_like(c) if rates is None else torch.sigmoid(torch.mv(W.T, mu) + c)

    def terms(phase: Phase) -> list[Term]:
        v, p = phase.state - mu, phase.p - lam
        return [Term(v, p), Term(v), Term(p)]

    def step(found: Sequence[Tensor]) -> Gradients:
        d_W, d_b, d_c = found
        return {W: d_W, b: d_b - d_W @ lam, c: d_c - d_W.T @ mu}

    return Statistics(terms(data), terms(chain), step)


def _signed(p_data: Tensor, p_chain: Tensor) -> Tensor:
    """Return the rows of both, each over minus or plus its number of rows, (B + B', H).

    Their sum is the mean of the chain's minus that of the data's.
    """
    num_data, num_chain = len(p_data), len(p_chain)
    p = p_data.new_empty(num_data + num_chain, p_data.shape[1])
    torch.mul(p_data, -1 / num_data, out=p[:num_data])
    torch.mul(p_chain, 1 / num_chain, out=p[num_data:])
    return p


def _product(data: Phase, chain: Phase, p: Tensor) -> Tensor:
    """Return the sum of v pᵀ over the rows of both phases, (V, H)."""
    if data.ones is None or chain.ones is None:
        return torch.cat([data.state, chain.state]).T @ p
    return data.ones.above(chain.ones).T.matmul(p)
