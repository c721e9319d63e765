"""The recursion of NADE: hidden units of one place after another, in one pass and one copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def outputs(inputs: Tensor, a: Tensor, W: Tensor, V: Tensor, activation: str) -> Tensor:
    """Return V_i h(a_i) of all places, with a_1 = a and a_{i+1} = a_i + x_i W_i.

    The sums of a place are those of the one before it and one term more, so that all places take
    O(D H) operations, where each on its own would take O(D² H). Memory is that of one place: the
    backward pass finds a_i again by subtraction.

    | The Neural Autoregressive Distribution Estimator (Larochelle, Murray, 2011)

    Arguments:
        inputs: The inputs x of the places in their order, (D, B, E).
        a: The sums before the first place, (B, H).
        W: Weights from inputs to hidden units, (D, E, H).
        V: Weights from hidden units to parameters, (D, H, P).
        activation: "sigmoid", "tanh" or "relu".

    Returns:
        A tensor of shape (D, B, P).
    """
    found: Tensor = _Recursion.apply(inputs, a, W, V, activation)  # type: ignore[no-untyped-call]
    return found


_MOST_CHANGED = 0.4
_INTO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": lambda a, h: torch.sigmoid(a, out=h),
    "tanh": lambda a, h: torch.tanh(a, out=h),
    "relu": lambda a, h: torch.clamp(a, min=0, out=h),
}
"""Activations whose results are written into memory that there is."""


def active(a: Tensor, activation: str) -> Tensor:
    """Return the hidden units of sums."""
    found: Tensor = getattr(torch, activation)(a)
    return found


def _slope(h: Tensor, activation: str) -> Tensor:
    """Return the derivative of the activation by its value h."""
    if activation == "sigmoid":
        return h * (1 - h)
    return 1 - h * h if activation == "tanh" else (h > 0).to(h.dtype)


def _changed_rows(inputs: Tensor) -> Sequence[Tensor] | None:
    """Return the rows whose sums each place changes; None if these are most rows.

    Where the inputs are 0, as most of a binary image are, sums and hidden units stay as they are,
    and the activation of hidden units is most of the work.

    Arguments:
        inputs: The inputs of the places, (D, B, E).
    """
    there = inputs.ne(0).any(-1)
    counts = there.sum(1).tolist()
    if sum(counts) > _MOST_CHANGED * there.numel():
        return None
    return torch.split(there.nonzero()[:, 1], counts)


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, a: Tensor, W: Tensor, V: Tensor, activation: str
    ) -> Tensor:
        found = inputs.new_empty(len(V), len(a), V.shape[2])
        act, changed = _INTO[activation], _changed_rows(inputs)
        a, h = a.clone(), active(a, activation)
        for i in range(len(V)):
            torch.mm(h, V[i], out=found[i])
            if changed is None:
                act(a.addmm_(inputs[i], W[i]), h)
            elif len(rows := changed[i]):
                part = a.index_select(0, rows)  # Faster than by brackets.
                part.addmm_(inputs[i].index_select(0, rows), W[i])
                a.index_copy_(0, rows, part)
                h.index_copy_(0, rows, act(part, part))
        ctx.save_for_backward(inputs, a, W, V)
        ctx.activation = activation
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, a, W, V = ctx.saved_tensors
        a, delta = a.clone(), torch.zeros_like(a)
        of_x = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        of_W, of_V = torch.empty_like(W), torch.empty_like(V)
        for i in reversed(range(len(V))):
            if of_x is not None:
                of_x[i] = delta @ W[i].T
            of_W[i] = inputs[i].T @ delta
            a.addmm_(inputs[i], W[i], alpha=-1)
            h = active(a, ctx.activation)
            of_V[i] = h.T @ gradient[i]
            delta.addcmul_(gradient[i] @ V[i].T, _slope(h, ctx.activation))
        return of_x, delta, of_W, of_V, None
