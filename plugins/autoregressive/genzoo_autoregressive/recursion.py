"""The recursion of NADE: hidden units of one place after another, in one pass and one copy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
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
_WIDEST = torch.complex128
_MOST_ALONE = 2**18
_INTO: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "sigmoid": lambda a, h: torch.sigmoid(a, out=h),
    "tanh": lambda a, h: torch.tanh(a, out=h),
    "relu": lambda a, h: torch.clamp(a, min=0, out=h),
}
"""Activations whose results are written into memory that there is."""
_TO_SLOPE: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda h: torch.addcmul(h, h, h, value=-1, out=h),
    "tanh": lambda h: torch.addcmul(h.new_ones(()), h, h, value=-1, out=h),
    "relu": Tensor.sign_,
}
"""The derivative of each activation by its value h, in the memory of h."""


def active(a: Tensor, activation: str) -> Tensor:
    """Return the hidden units of sums."""
    found: Tensor = getattr(torch, activation)(a)
    return found


def _changed_rows(inputs: Tensor) -> Sequence[Tensor] | None:
    """Return the rows whose sums each place changes; None if these are most rows.

    Where the inputs are 0, as most of a binary image are, sums and hidden units stay as they are,
    and the activation of hidden units is most of the work on a CPU. Another device would wait.

    Arguments:
        inputs: The inputs of the places, (D, B, E).
    """
    if inputs.device.type != "cpu":
        return None
    there = inputs.ne(0).any(-1)
    counts = there.sum(1).tolist()
    if sum(counts) > _MOST_CHANGED * there.numel():
        return None
    return torch.split(there.nonzero()[:, 1], counts)


def _wide(rows: Tensor) -> Tensor:
    """Return a view of rows (B, H) in elements of 16 bytes, if they can be seen so.

    `index_copy_` on a CPU copies element by element, so fewer and wider ones take less time.
    """
    size = rows.shape[1] * rows.element_size()
    fits = rows.device.type == "cpu" and size % _WIDEST.itemsize == 0
    return rows.view(_WIDEST) if fits else rows


@contextlib.contextmanager
def _alone(a: Tensor) -> Iterator[None]:
    """Compute with one thread inside if the sums a are few.

    A place takes some ten small operations, and each would wait for all threads: on busy cores
    much longer than it computes.
    """
    before = torch.get_num_threads()
    if before == 1 or a.device.type != "cpu" or a.numel() > _MOST_ALONE:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, a: Tensor, W: Tensor, V: Tensor, activation: str
    ) -> Tensor:
        found = inputs.new_empty(len(V), len(a), V.shape[2])
        a = a.clone(memory_format=torch.contiguous_format)
        with _alone(a):
            _run(inputs, a, W, V, activation, found)
        ctx.save_for_backward(inputs, a, W, V)
        ctx.activation = activation
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, a, W, V = ctx.saved_tensors
        of_x = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        with _alone(a):
            found = _run_back(inputs, a.clone(), W, V, ctx.activation, gradient, of_x)
        return of_x, *found, None


def _run(inputs: Tensor, a: Tensor, W: Tensor, V: Tensor, activation: str, found: Tensor) -> None:
    """Write the outputs of all places into ``found``, and leave the last sums in ``a``."""
    act, changed = _INTO[activation], _changed_rows(inputs)
    h = active(a, activation)
    wide_a, wide_h = _wide(a), _wide(h)
    for i, (x, w, v, out) in enumerate(zip(inputs, W, V, found, strict=True)):
        torch.mm(h, v, out=out)
        if changed is None:
            act(a.addmm_(x, w), h)
        elif len(rows := changed[i]):
            part = a.index_select(0, rows)  # Faster than by brackets.
            wide_part = _wide(part)
            part.addmm_(x.index_select(0, rows), w)
            wide_a.index_copy_(0, rows, wide_part)
            act(part, part)
            wide_h.index_copy_(0, rows, wide_part)


def _run_back(
    inputs: Tensor,
    a: Tensor,
    W: Tensor,
    V: Tensor,
    activation: str,
    gradient: Tensor,
    of_x: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients by the first sums, W and V; write those by the inputs into ``of_x``.

    The last sums ``a`` become the first ones.
    """
    act, to_slope = _INTO[activation], _TO_SLOPE[activation]
    delta, h, of_h = torch.zeros_like(a), torch.empty_like(a), torch.empty_like(a)
    of_W, of_V = torch.empty_like(W), torch.empty_like(V)
    for i in reversed(range(len(V))):
        if of_x is not None:
            torch.mm(delta, W[i].T, out=of_x[i])
        torch.mm(inputs[i].T, delta, out=of_W[i])
        act(a.addmm_(inputs[i], W[i], alpha=-1), h)
        torch.mm(h.T, gradient[i], out=of_V[i])
        torch.mm(gradient[i], V[i].T, out=of_h)
        delta.addcmul_(of_h, to_slope(h))
    return delta, of_W, of_V
