"""The gradient of the likelihood's two phases, as one product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from genzoo_boltzmann.sparse_binary import Ones, binary_addmm, few_ones

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM


@dataclass(frozen=True)
class Phase:
    """Visible units, and the fields of the hidden units given them.

    Arguments:
        v: Visible units, (B, V).
        ones: The positions of ones, if products with them are sums of rows of W.
        field: c + vᵀW, (B, H).
        p: p(h_j = 1 | v) = σ(field), (B, H).
    """

    v: Tensor
    ones: Ones | None
    field: Tensor
    p: Tensor


@dataclass(frozen=True)
class Contrast:
    """The difference of the data's and the chain's phase.

    Arguments:
        value: Mean F(data) − mean F(chain).
        d_W: Its gradient with respect to W, (V, H).
        d_b: With respect to b, (V,).
        d_c: With respect to c, (H,).
    """

    value: Tensor
    d_W: Tensor
    d_b: Tensor
    d_c: Tensor


@torch.no_grad()
def phase(model: RBM, v: Tensor) -> Phase:
    """Return the phase of visible units (B, V)."""
    ones = few_ones(v, model.W)
    field = binary_addmm(model.c, v, model.W, ones).to(
        v.dtype
    )  # Autocast would reduce its precision.
    return Phase(v, ones, field, field.sigmoid())


@torch.no_grad()
def contrast(model: RBM, data: Phase, chain: Phase, *, centred: bool) -> Contrast:
    """Return mean F(data) − mean F(chain) and its gradient with respect to W, b and c.

    With p = σ(field): ∂F/∂W = −vpᵀ, ∂F/∂b = −v, ∂F/∂c = −p. Both phases are one product.

    The centred gradient is that of the machine parametrised around offsets μ and λ, E = −(v −
    μ)ᵀW(h − λ) − b'ᵀv − c'ᵀh, transformed back: ∇W = ∇W − μ∇cᵀ − ∇bλᵀ, ∇b = ∇b − ∇Wλ, ∇c = ∇c −
    ∇Wᵀμ. Here μ is the data's base rate and λ = σ(c + μᵀW).

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)
    """
    d_b = chain.v.mean(0) - data.v.mean(0)
    value = d_b @ model.b + _mean_softplus(chain.field) - _mean_softplus(data.field)
    if not centred:
        p = _signed(data.p, chain.p)
        return Contrast(value, _product(data, chain, p), d_b, p.sum(0))
    mu = model.base_rates
    lam = torch.sigmoid(torch.mv(model.W.T, mu) + model.c)
    p = _signed(data.p - lam, chain.p - lam)
    d_c = p.sum(0)
    d_W = _product(data, chain, p).addr_(mu, d_c, alpha=-1)
    return Contrast(value, d_W, d_b - d_W @ lam, d_c - d_W.T @ mu)


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
        return torch.cat([data.v, chain.v]).T @ p
    return data.ones.above(chain.ones).T.matmul(p)


def _mean_softplus(field: Tensor) -> Tensor:
    """Return the mean over rows of Σ_j log(1 + exp field_j)."""
    return F.softplus(field).sum() / len(field)
