"""log Z by a sum over all states of the smaller layer."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from genzoo_boltzmann.precision import full_precision

_BLOCK_BITS = 12


def log_sum(W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return log Z by a sum over all states of the smaller layer, in float64.

    For a gradient, each block of states is computed again, so that only one is in memory.
    """
    with full_precision(W.device):
        W, b, c = W.double(), b.double(), c.double()
        if W.shape[0] < W.shape[1]:
            W, b, c = W.T, c, b
        low, high = min(W.shape[1], _BLOCK_BITS), max(0, W.shape[1] - _BLOCK_BITS)
        inner = _states(low, W.device)
        run = functools.partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        blocks = [run(_of_block, inner, outer, W, b, c) for outer in _states(high, W.device)]
        return torch.stack(blocks).logsumexp(0)


def _of_block(inner: Tensor, outer: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return log Σ exp(cᵀh + Σ_i log(1 + exp(b + Wh)_i)) over a block of states h."""
    h = torch.cat([inner, outer.expand(len(inner), -1)], dim=1)
    log_p = h @ c + F.softplus(torch.addmm(b, h, W.T)).sum(1)
    return log_p.logsumexp(0)


def _states(num: int, device: torch.device) -> Tensor:
    """Return all states of ``num`` units, (2^num, num), in float64."""
    index = torch.arange(2**num, device=device)
    return ((index[:, None] >> torch.arange(num, device=device)) & 1).double()
