"""The gradient of the likelihood's two phases, as one product, handed to autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM

Gradient = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Phase:
    """Visible units and what the hidden units feel given them.

    Arguments:
        v: Visible units, (B, V).
        field: c + vᵀW, (B, H).
    """

    v: Tensor
    field: Tensor


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
    return Phase(v, model.hidden_logits(v))


def contrast(model: RBM, data: Phase, chain: Phase, *, centred: bool) -> Contrast:
    """Return mean F(data) − mean F(chain) and its gradient with respect to W, b and c.

    With p = σ(field): ∂F/∂W = −vpᵀ, ∂F/∂b = −v, ∂F/∂c = −p. Both phases go through one product:
    row n has the weight w_n = −1/B of the data or 1/B of the chain.

    Centred, the gradient is taken for the machine that is parametrised around offsets μ and λ,
    E = −(v − μ)ᵀW(h − λ) − b'ᵀv − c'ᵀh, and turned back: ∇W = ∇W − μ∇cᵀ − ∇bλᵀ,
    ∇b = ∇b − ∇Wλ, ∇c = ∇c − ∇Wᵀμ. Here μ is the data's base rate and λ = σ(c + μᵀW).

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)
    """
    w = _weights(data, chain)
    v, field = torch.cat([data.v, chain.v]), torch.cat([data.field, chain.field])
    p = field.sigmoid()
    w_v, w_p = w @ v, w @ p
    value = w_v @ model.b + w @ F.softplus(field).sum(1)
    mu = model.base_rates if centred else None
    lam = None if mu is None else torch.sigmoid(torch.mv(model.W.T, mu) + model.c)

    def gradient(scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, grad_b, grad_c = w * scale, w_v * scale, w_p * scale
        if mu is None or lam is None:
            return v.T @ (p * weights[:, None]), grad_b, grad_c
        grad_W = (v - mu).T @ (p - lam).mul_(weights[:, None])
        return grad_W, grad_b - grad_W @ lam, grad_c - grad_W.T @ mu

    return Contrast(value, gradient)


def _weights(data: Phase, chain: Phase) -> Tensor:
    """Return each row's weight in a difference of means, (2B,): the data's are negative."""
    return torch.cat(
        [
            data.v.new_full((len(data.v),), -1 / len(data.v)),
            chain.v.new_full((len(chain.v),), 1 / len(chain.v)),
        ]
    )


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
