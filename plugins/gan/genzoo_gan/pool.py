"""A pool of earlier fakes for a critic."""

from __future__ import annotations

import torch
from torch import Tensor


def exchange(
    pool: Tensor, fakes: Tensor, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the fakes for the critic in place of ``fakes``, and the new pool.

    Fakes are processed one after another: while the pool has room, a fake is stored and returned.
    After that, with probability ½, a random image of the pool is returned and the fake takes its
    place; otherwise the fake itself is returned.

    | Learning from Simulated and Unsupervised Images through Adversarial Training
    | (Shrivastava et al., 2017)

    Arguments:
        pool: What the pool holds, (N, C, H, W), N ≤ ``size``.
        fakes: New fakes, (B, C, H, W).
        size: The capacity of the pool; with 0 the fakes are returned.
        generator: Where the draws come from, on the fakes' device.
    """
    if size == 0:
        return fakes, pool
    num = (len(fakes),)
    coins = torch.rand(num, generator=generator, device=fakes.device).tolist()
    places = torch.randint(size, num, generator=generator, device=fakes.device).tolist()
    held, shown = list(range(len(pool))), []
    for fake, (coin, place) in enumerate(zip(coins, places, strict=True), len(pool)):
        shown.append(fake)
        if len(held) < size:
            held.append(fake)
        elif coin < 0.5:
            shown[-1], held[place] = held[place], fake
    both = torch.cat([pool, fakes])
    return both[shown], both[held]
