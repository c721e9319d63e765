"""The gradient of the likelihood's two phases, as one product, handed to autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from genzoo_boltzmann.products import binary_addmm, binary_matmul

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM

Gradient = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Phase:
    """Visible units and what the hidden units feel given them.

    Arguments:
        v: Visible units, (B, V).
        field: c + vᵀW, (B, H).
        p: p(h_j = 1 | v) = σ(field), (B, H).
    """

    v: Tensor
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
    field = binary_addmm(model.c, v, model.W)
    return Phase(v, field, field.sigmoid())


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
        p = torch.cat([data.p * (-scale / len(data.p)), chain.p * (scale / len(chain.p))])
        grad_W = binary_matmul(torch.cat([data.v, chain.v]).T, p)
        grads = grad_W, grad_b * scale, grad_c * scale
        return grads if mu is None or lam is None else _turned_back(*grads, mu, lam)

    return Contrast(value, gradient)


def _mean_softplus(field: Tensor) -> Tensor:
    """Return the mean over rows of Σ_j log(1 + exp field_j)."""
    return F.softplus(field).sum() / len(field)


def _turned_back(
    grad_W: Tensor, grad_b: Tensor, grad_c: Tensor, mu: Tensor, lam: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the centred machine's gradient as one of W, b and c."""
    left, right = torch.stack([mu, grad_b], dim=1), torch.stack([grad_c, lam])
    grad_W = grad_W.addmm_(left, right, alpha=-1)
    return grad_W, grad_b - grad_W @ lam, grad_c - grad_W.T @ mu


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
