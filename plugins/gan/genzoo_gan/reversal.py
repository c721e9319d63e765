"""Gradient reversal: the identity, with a negated gradient."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return h.view_as(h)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reverse(h: Tensor, weight: float) -> Tensor:
    """Return R(h) = h, whose derivative counts as −λ I.

    Layers after it minimise the loss; layers before it maximise it, λ times as strongly.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016)

    Arguments:
        h: Activations of any shape.
        weight: λ.
    """
    found: Tensor = _Reversal.apply(h, weight)  # type: ignore[no-untyped-call]
    return found


def rising(progress: float, steepness: float = 10.0) -> float:
    """Return 2 / (1 + exp(−γ p)) − 1, which rises from 0 towards 1 as p goes from 0 to 1.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016), section 5.2.2

    >>> rising(0.0), round(rising(1.0), 4)
    (0.0, 0.9999)
    """
    return math.tanh(steepness * progress / 2)
