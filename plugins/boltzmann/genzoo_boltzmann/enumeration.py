"""log Z by a sum over all states of some units."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from genzoo_boltzmann.precision import full_precision

_BLOCK_BITS = 12
# A block of factors fits in a cache; for a gradient, several blocks are computed again at once.
_FACTORS_AT_ONCE = 2**17
_BLOCKS_AT_ONCE = 16
_MOST_FACTORS = 16
_LARGEST_LOG = 700.0  # exp(709) is the largest number in float64.
_STATES_AT_ONCE = 2**16


def log_sum(
    log_p: Callable[..., Tensor], num: int, *parameters: Tensor, num_values: int = 2
) -> Tensor:
    """Return log Σ exp log_p(h, *parameters) over all states h of ``num`` units.

    For a gradient, each block of states is computed again, so that only one is in memory.

    Arguments:
        log_p: A function of states (B, num) in float64 and of the parameters, with values (B,).
        num: The number of units.
        parameters: Tensors in float64.
        num_values: The number of values of a unit, 0 to num_values − 1.
    """
    device = parameters[0].device
    with full_precision(device):
        low = min(num, max(1, int(_BLOCK_BITS / math.log2(num_values))))
        inner, outer = (states(n, device, num_values) for n in (low, num - low))
        blocks = [_again(_of_block, log_p, inner, last, *parameters) for last in outer]
        return torch.stack(blocks).logsumexp(0)


def log_sum_two_layers(W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return log Σ_h exp(cᵀh + Σ_i log(1 + exp(b + Wh)_i)) over all states h of binary units.

    With the units h in two parts, exp(b + Wh)_i is a product of two numbers, one for each part. So
    a state takes one product for each unit i and no exponential, and one logarithm for up to 16 of
    them: half the time of the product Wh alone (benchmarks/exact_log_z.py).

    Arguments:
        W: The weights, (V, H), in float64.
        b: The biases of the V units that are summed out, (V,).
        c: The biases of the H units whose states are added up, (H,).
    """
    num_factors = _num_factors(W, b)
    if num_factors == 0:
        return log_sum(_log_joint, len(c), W, b, c)
    with full_precision(W.device):
        # Units that are always off fill up the last product.
        missing = -len(b) % num_factors
        W, b = F.pad(W, (0, 0, 0, missing)), F.pad(b, (0, missing), value=-math.inf)
        low = min(len(c), max(0, int(math.log2(_FACTORS_AT_ONCE / len(b)))))
        inner = states(low, W.device)
        split = _Split(inner @ c[:low], (inner @ W[:, :low].T).exp(), num_factors)
        outer = states(len(c) - low, W.device)
        blocks = [
            _again(split.log_sum, part, W[:, low:], b, c[low:])
            for part in torch.split(outer, _BLOCKS_AT_ONCE)
        ]
        return torch.stack(blocks).logsumexp(0)


@dataclass(frozen=True)
class _Split:
    """What states of the first units contribute.

    Arguments:
        log_weights: cᵀh of these units, (B,).
        factors: exp(Wh) of these units, (B, V).
        num_factors: How many factors 1 + exp(b + Wh)_i are multiplied before a logarithm.
    """

    log_weights: Tensor
    factors: Tensor
    num_factors: int

    def log_sum(self, outer: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Return the log of the sum over all states of the first units with each of ``outer``."""
        one, shape = torch.ones_like(b)[None], (len(self.factors), self.num_factors, -1)
        rows, weights = (b + outer @ W.T).exp(), outer @ c
        parts = [
            torch.addcmul(one, self.factors, row).view(shape).prod(1).log().sum(1)
            for row in rows[:, None]
        ]
        found = torch.stack(parts) + self.log_weights + weights[:, None]
        return found.flatten().logsumexp(0)


def _num_factors(W: Tensor, b: Tensor) -> int:
    """Return how many factors 1 + exp(b + Wh)_i can be multiplied in float64; 0 if not one."""
    with torch.no_grad():
        largest = float((W.abs().sum(1) + b.abs()).max()) + math.log(2)
    num = _LARGEST_LOG / largest
    return 2 ** int(math.log2(min(num, _MOST_FACTORS))) if num >= 1 else 0


def _log_joint(h: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return cᵀh + Σ_i log(1 + exp(b + Wh)_i), (B,), for states h (B, H)."""
    return h @ c + F.softplus(torch.addmm(b, h, W.T)).sum(1)


def _again(function: Callable[..., Tensor], *arguments: object) -> Tensor:
    """Return a function's value; for a gradient it is computed again and not kept in memory."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    run = functools.partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    found: Tensor = run(function, *arguments)
    return found


def _of_block(
    log_p: Callable[..., Tensor], inner: Tensor, outer: Tensor, *parameters: Tensor
) -> Tensor:
    """Return log Σ exp log_p over a block of states whose last units are ``outer``."""
    h = torch.cat([inner, outer.expand(len(inner), -1)], dim=1)
    return log_p(h, *parameters).logsumexp(0)


def states(num: int, device: torch.device, num_values: int = 2) -> Tensor:
    """Return all states of ``num`` units, (num_values^num, num), in float64."""
    index = torch.arange(num_values**num, device=device)
    place = num_values ** torch.arange(num, device=device)
    return (index[:, None] // place % num_values).double()


def rest_summed(free_energies: Callable[[Tensor], Tensor], v: Tensor, num: int) -> Tensor:
    """Return −log Σ_h exp(−F(v, h)) over all states of ``num`` binary units h, (B,).

    Arguments:
        free_energies: F of states (B, V + num), (B,).
        v: The other units, (B, V).
        num: The number of units, which follow v in a state; with 0 it is F(v).
    """
    if num == 0:
        return free_energies(v)
    every = states(num, v.device)
    found = v.new_full((len(v),), -math.inf, dtype=torch.promote_types(v.dtype, torch.float32))
    size = max(1, _STATES_AT_ONCE // max(1, len(v)))
    for first in range(0, len(every), size):
        h = every[first : first + size].to(v.dtype)
        pairs = torch.cat([v.repeat_interleave(len(h), 0), h.repeat(len(v), 1)], 1)
        block = -free_energies(pairs).view(len(v), len(h))
        found = torch.logaddexp(found, block.logsumexp(1))
    return -found
