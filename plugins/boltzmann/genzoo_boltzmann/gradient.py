"""The gradient of the likelihood's two phases, computed once and handed to autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from genzoo_boltzmann.rbm import RBM


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
        gradient: Its gradient with respect to W, b and c.
        activity: The mean of p(h_j = 1 | v) over the data and the hidden units.
    """

    value: Tensor
    gradient: tuple[Tensor, Tensor, Tensor]
    activity: Tensor


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
    activity = p[: len(data.v)].mean()
    grad_b, grad_c = w @ v, w @ p
    value = grad_b @ model.b + w @ F.softplus(field).sum(1)
    if not centred:
        return Contrast(value, (v.T @ p.mul_(w[:, None]), grad_b, grad_c), activity)
    mu = model.base_rates
    lam = torch.sigmoid(torch.mv(model.W.T, mu) + model.c)
    grad_W = v.sub_(mu).T @ p.sub_(lam).mul_(w[:, None])
    gradient = grad_W, grad_b - grad_W @ lam, grad_c - grad_W.T @ mu
    return Contrast(value, gradient, activity)


def _weights(data: Phase, chain: Phase) -> Tensor:
    """Return each row's weight in a difference of means, (2B,): the data's are negative."""
    return torch.cat(
        [
            data.v.new_full((len(data.v),), -1 / len(data.v)),
            chain.v.new_full((len(chain.v),), 1 / len(chain.v)),
        ]
    )


def with_gradient(
    value: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Tensor:
    """Return ``value`` as a function of ``parameters`` whose gradient is ``gradients``."""
    apply: Any = _WithGradient.apply
    found: Tensor = apply(value, len(parameters), *parameters, *gradients)
    return found


class _WithGradient(torch.autograd.Function):
    """A value with the gradient it was given."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, num: int, *tensors: Tensor) -> Tensor:
        """Keep the gradients, the last ``num`` of ``tensors``."""
        ctx.gradients = tensors[num:]
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """Return each gradient times that of the output."""
        given = tuple(gradient.mul_(grad_output) for gradient in ctx.gradients)
        return (None, None, *given, *(None for _ in given))
