"""A pool of earlier fakes: what a critic is shown is not the generator's last move alone."""

from __future__ import annotations

import torch
from torch import Tensor


def exchange(
    pool: Tensor, fakes: Tensor, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return what the critic is shown in place of ``fakes``, and what the pool holds then.

    One fake after another: while the pool has room, it is kept and shown. Then, with probability
    ½, one image of the pool, each as likely, is shown and the fake takes its place; otherwise the
    fake itself is shown, and the pool stays.

    | Learning from Simulated and Unsupervised Images through Adversarial Training
    | (Shrivastava et al., 2017)

    Arguments:
        pool: What the pool holds, (N, C, H, W), N ≤ ``size``.
        fakes: New fakes, (B, C, H, W).
        size: How many the pool can hold; with 0 the fakes are shown.
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
