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

    def free_energy(self, model: RBM) -> Tensor:
        """Return the mean free energy."""
        return -(self.v @ model.b + F.softplus(self.field).sum(1)).mean()


def phase(model: RBM, v: Tensor) -> Phase:
    """Return the phase of visible units (B, V)."""
    return Phase(v, model.hidden_logits(v))


def contrast(
    model: RBM, data: Phase, chain: Phase, *, centred: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Return mean F(data) − mean F(chain) and its gradient with respect to W, b and c.

    With p = σ(field): ∂F/∂W = −vpᵀ, ∂F/∂b = −v, ∂F/∂c = −p. Both phases go through one product.

    Centred, the gradient is taken for the machine that is parametrised around offsets μ and λ,
    E = −(v − μ)ᵀW(h − λ) − b'ᵀv − c'ᵀh, and turned back: ∇W = ∇W − μ∇cᵀ − ∇bλᵀ,
    ∇b = ∇b − ∇Wλ, ∇c = ∇c − ∇Wᵀμ. Here μ is the data's base rate and λ = σ(c + μᵀW).

    | How to Center Deep Boltzmann Machines (Melchior, Fischer, Wiskott, 2016)
    """
    p_data, p_chain = data.field.sigmoid(), chain.field.sigmoid()
    value = data.free_energy(model) - chain.free_energy(model)
    grad_b = chain.v.mean(0) - data.v.mean(0)
    grad_c = p_chain.mean(0) - p_data.mean(0)
    if not centred:
        return value, (_product(data.v, chain.v, p_data, p_chain), grad_b, grad_c)
    mu = model.base_rates
    lam = torch.sigmoid(torch.mv(model.W.T, mu) + model.c)
    grad_W = _product(data.v - mu, chain.v - mu, p_data.sub_(lam), p_chain.sub_(lam))
    return value, (grad_W, grad_b - grad_W @ lam, grad_c - grad_W.T @ mu)


def _product(v_data: Tensor, v_chain: Tensor, p_data: Tensor, p_chain: Tensor) -> Tensor:
    """Return mean v pᵀ over the chain minus that over the data, as one product; p is used up."""
    p = torch.cat([p_chain.div_(len(p_chain)), p_data.div_(-len(p_data))])
    return torch.cat([v_chain, v_data]).T @ p


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
