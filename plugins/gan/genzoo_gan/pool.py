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
    num, device = len(fakes), fakes.device
    coins = torch.rand(num, generator=generator, device=device)
    places = torch.randint(size, (num,), generator=generator, device=device)
    stored = min(num, size - len(pool))
    # All fakes at once, so that nothing waits for the device. An image has its number in ``both``,
    # so the greatest number that was put into a place is that of the last fake.
    slots = torch.arange(len(pool) + stored, device=device)
    fake = torch.arange(len(pool), len(pool) + num, device=device)
    exchanged = (coins < 0.5) & (fake >= len(slots))
    put = torch.where(exchanged[:, None] & (places[:, None] == slots), fake[:, None], -1)
    held = torch.cat([slots[None], put]).cummax(0).values
    # A place that is drawn while there is room is not looked at.
    before = held[:-1].gather(1, places.clamp_max(len(slots) - 1)[:, None])[:, 0]
    both = torch.cat([pool, fakes])
    return both[torch.where(exchanged, before, fake)], both[held[-1]]
