"""Mean field in a deep machine: q(h) = Π q(h_j) given one layer at its end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from genzoo_boltzmann.layers import Layers, joined
from genzoo_boltzmann.sparse_binary import Ones

# The steps between two looks at the change, each of which a device must wait for.
_STEPS_PER_LOOK = 5


@torch.no_grad()
def mean_field(
    layers: Layers, v: Tensor, num_steps: int, tolerance: float, ones: Ones | None = None
) -> tuple[Tensor, Tensor]:
    """Return probabilities of even layers, v first, and the fields of odd ones, given v (B, N_0).

    The fixed point of q_l = σ(c_l + W_lᵀq_{l−1} + W_{l+1}q_{l+1}) maximises the bound E_q[−E] +
    H(q) ≤ log Σ_h exp(−E) locally. A step sets all even hidden layers, then all odd ones, which
    never lowers the bound. The first q is a pass upwards with doubled weights, because no layer
    above has a value yet.

    | Deep Boltzmann Machines (Salakhutdinov, Hinton, 2009)

    Arguments:
        layers: The machine; v is its layer 0.
        v: The units that are given.
        num_steps: The maximum number of steps, at least 1.
        tolerance: The change of any probability in a step at which the steps end.
        ones: The ones of v, if products with them are sums of rows.
    """
    first = layers.above_visible(v, ones)
    q, fields = _upwards(layers, v, first), {}
    for step in range(num_steps):
        before = {layer: q.get(layer) for layer in range(2, len(layers), 2)}
        for layer in before:
            q[layer] = layers.field(layer, q, layers.biases[layer]).sigmoid_()
        hidden = {layer: x for layer, x in q.items() if layer > 0}
        for layer in range(1, len(layers), 2):
            bias = first if layer == 1 else layers.biases[layer]
            fields[layer] = layers.field(layer, hidden, bias)
            q[layer] = fields[layer].sigmoid()
        looked = step % _STEPS_PER_LOOK == _STEPS_PER_LOOK - 1 and step + 1 < num_steps
        if looked and _change(q, before) <= tolerance:
            break
    even = joined([q[layer] for layer in range(0, len(layers), 2)])
    return even, joined([fields[layer] for layer in range(1, len(layers), 2)])


def _change(q: Mapping[int, Tensor], before: Mapping[int, Tensor | None]) -> float:
    """Return the largest change of a probability since it was as ``before``."""
    found = [(q[n] - old).abs().flatten() for n, old in before.items() if old is not None]
    moved = torch.cat(found)
    return float(moved.amax()) if moved.numel() else 0.0


def _upwards(layers: Layers, v: Tensor, first: Tensor) -> dict[int, Tensor]:
    """Return probabilities given the layer below with doubled weights, up to the last odd layer.

    The weights of the top layer are not doubled: it has only one neighbour.

    Arguments:
        layers: The machine.
        v: The units of layer 0.
        first: The fields of layer 1 given them, with single weights.
    """
    q = {0: v, 1: (2 * first - layers.biases[1]).sigmoid_()}
    top = len(layers) - 1
    for layer in range(2, top + top % 2):
        below = {layer - 1: q[layer - 1]}
        beta = 1.0 if layer == top else 2.0
        q[layer] = layers.field(layer, below, layers.biases[layer], beta).sigmoid_()
    return q


def entropy(q: Tensor) -> Tensor:
    """Return the entropy of units that are on with probabilities q (B, D), (B,), in nats."""
    least = torch.finfo(q.dtype).tiny  # 0 log 0 is 0; `torch.xlogy` takes six times as long.
    off = 1 - q
    return -(q * q.clamp_min(least).log() + off * off.clamp_min(least).log()).sum(1)
