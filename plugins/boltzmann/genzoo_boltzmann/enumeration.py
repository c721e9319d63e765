"""log Z by a sum over all states of some binary units."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from genzoo_boltzmann.precision import full_precision

_BLOCK_BITS = 12


def log_sum(log_p: Callable[..., Tensor], num: int, *parameters: Tensor) -> Tensor:
    """Return log Σ exp log_p(h, *parameters) over all states h of ``num`` binary units.

    For a gradient, each block of states is computed again, so that only one is in memory.

    Arguments:
        log_p: A function of states (B, num) in float64 and of the parameters, with values (B,).
        num: The number of units.
        parameters: Tensors in float64.
    """
    device = parameters[0].device
    with full_precision(device):
        low, high = min(num, _BLOCK_BITS), max(0, num - _BLOCK_BITS)
        inner = states(low, device)
        run = functools.partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
        blocks = [
            run(_of_block, log_p, inner, outer, *parameters) for outer in states(high, device)
        ]
        return torch.stack(blocks).logsumexp(0)


def _of_block(
    log_p: Callable[..., Tensor], inner: Tensor, outer: Tensor, *parameters: Tensor
) -> Tensor:
    """Return log Σ exp log_p over a block of states whose last units are ``outer``."""
    h = torch.cat([inner, outer.expand(len(inner), -1)], dim=1)
    return log_p(h, *parameters).logsumexp(0)


def states(num: int, device: torch.device) -> Tensor:
    """Return all states of ``num`` units, (2^num, num), in float64."""
    index = torch.arange(2**num, device=device)
    return ((index[:, None] >> torch.arange(num, device=device)) & 1).double()
