"""The gradient of the likelihood's two phases, as one product, handed to autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from genzoo_boltzmann.products import Ones, binary_addmm, few_ones

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM

Gradient = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Phase:
    """Visible units and what the hidden units feel given them.

    Arguments:
        v: Visible units, (B, V).
        ones: Where they are on, if adding up rows of W is the way to multiply by them.
        field: c + vᵀW, (B, H).
        p: p(h_j = 1 | v) = σ(field), (B, H).
    """

    v: Tensor
    ones: Ones | None
    field: Tensor
    p: Tensor


@dataclass(frozen=True)
class Contrast:
    """What tells the data's phase from the chain's.

    Arguments:
        value: Mean F(data) − mean F(chain).
        gradient: Gives the value's gradient with respect to W, b and c, times a scalar.
    """

    value: Tensor
    gradient: Gradient


def phase(model: RBM, v: Tensor) -> Phase:
    """Return the phase of visible units (B, V)."""
    ones = few_ones(v, model.W)
    field = binary_addmm(model.c, v, model.W, ones)
    field = field.to(v.dtype)  # Autocast makes it a shorter one.
    return Phase(v, ones, field, field.sigmoid())


def contrast(model: RBM, data: Phase, chain: Phase, *, centred: bool) -> Contrast:
    """Return mean F(data) − mean F(chain) and its gradient with respect to W, b and c.

    With p = σ(field): ∂F/∂W = −vpᵀ, ∂F/∂b = −v, ∂F/∂c = −p. Both phases go through one product.

    Centred, the gradient is taken for the machine that is parametrised around offsets μ and λ,
    E = −(v − μ)ᵀW(h − λ) − b'ᵀv − c'ᵀh, and turned back: ∇W = ∇W − μ∇cᵀ − ∇bλᵀ,
    ∇b = ∇b − ∇Wλ, ∇c = ∇c − ∇Wᵀμ. Here μ is the data's base rate and λ = σ(c + μᵀW).

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)
    """
    grad_b = chain.v.mean(0) - data.v.mean(0)
    grad_c = chain.p.mean(0) - data.p.mean(0)
    value = grad_b @ model.b + _mean_softplus(chain.field) - _mean_softplus(data.field)
    mu = model.base_rates if centred else None
    lam = None if mu is None else torch.sigmoid(torch.mv(model.W.T, mu) + model.c)

    def gradient(scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d_b, d_c = grad_b * scale, grad_c * scale
        if mu is None or lam is None:
            return _product(data, data.p, chain, chain.p, scale), d_b, d_c
        about_lam = _product(data, data.p - lam, chain, chain.p - lam, scale)
        d_W = torch.addr(about_lam, mu, d_c, alpha=-1)
        return d_W, d_b - d_W @ lam, d_c - d_W.T @ mu

    return Contrast(value, gradient)


def _product(data: Phase, p_data: Tensor, chain: Phase, p_chain: Tensor, scale: Tensor) -> Tensor:
    """Return scale × (mean v_chain p_chainᵀ − mean v_data p_dataᵀ), (V, H), by one product."""
    p = torch.cat([p_data * (-scale / len(p_data)), p_chain * (scale / len(p_chain))])
    if data.ones is None or chain.ones is None:
        return torch.cat([data.v, chain.v]).T @ p
    return data.ones.above(chain.ones).T.matmul(p)


def _mean_softplus(field: Tensor) -> Tensor:
    """Return the mean over rows of Σ_j log(1 + exp field_j)."""
    return F.softplus(field).sum() / len(field)


def with_gradient(value: Tensor, parameters: Sequence[Tensor], gradient: Gradient) -> Tensor:
    """Return ``value`` as a function of ``parameters`` whose gradient ``gradient`` gives."""
    apply: Any = _WithGradient.apply
    found: Tensor = apply(value, gradient, *parameters)
    return found


class _WithGradient(torch.autograd.Function):
    """A value with a gradient that is computed when it is asked for."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradient: Gradient, *parameters: Tensor) -> Tensor:
        """Remember how the gradient is computed."""
        ctx.gradient = gradient
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient times that of the output."""
        return (None, None, *ctx.gradient(grad_output))
