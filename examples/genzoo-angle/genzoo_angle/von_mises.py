"""The von Mises distribution, p(x) = exp(κ cos(x − μ)) / (2π I₀(κ)): its density, and draws.

It is an exponential family: with the natural parameter η = κ (cos μ, sin μ), log p(x) is
η · (cos x, sin x) − log 2π I₀(|η|). So η may be any point of the plane, and needs no bounds.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genzoo_angle.angle import wrap

_ROUNDS = 200
_TINY = 1e-12


def log_density(eta: Tensor, point: Tensor) -> Tensor:
    """Return log p(x), (...), of points (cos x, sin x), (..., 2), given η (..., 2)."""
    kappa = concentration(eta)
    along = (eta * point).sum(-1) - kappa  # e^κ is taken out of I₀ too, and does not overflow.
    normaliser: Tensor = torch.special.i0e(kappa).log() + math.log(2 * math.pi)
    return along - normaliser


def concentration(eta: Tensor) -> Tensor:
    """Return κ = |η|, (...), of η (..., 2); its gradient at 0 is 0."""
    return (eta.square().sum(-1) + _TINY).sqrt()


def draw(eta: Tensor, generator: torch.Generator) -> Tensor:
    """Draw an angle for each η (N, D, 2), by rejection from a wrapped Cauchy distribution.

    Each angle comes from noise of its own: what others are drawn does not change it. At least
    two of three proposals are accepted, whatever κ. NaN stays NaN.

    | Efficient Simulation of the von Mises Distribution (Best, Fisher, 1979)

    Arguments:
        eta: The natural parameters.
        generator: Where the randomness comes from, on their device.

    Returns:
        Angles in [−π, π), (N, D), of the type of ``eta``.
    """
    mean, kappa = torch.atan2(eta[..., 1], eta[..., 0]).double(), eta.double().norm(dim=-1)
    scale = (1 + (1 + 4 * kappa.square()).sqrt()) / 2  # κ r of the paper, finite for κ = 0 too.
    found = torch.full_like(kappa, math.nan)
    waiting = torch.ones_like(kappa, dtype=torch.bool)
    for _ in range(_ROUNDS):
        noise = torch.rand(
            *kappa.shape, 3, generator=generator, dtype=kappa.dtype, device=kappa.device
        )
        z = (math.pi * noise[..., 0]).cos()
        cosine = (kappa + scale * z) / (scale + kappa * z)
        c = scale - kappa * cosine
        accepted = ~(noise[..., 1] > c * (1 - c).exp())  # NaN ends its search, too.
        sign = torch.where(noise[..., 2] < 0.5, -1.0, 1.0)
        turn = sign * cosine.clamp(-1, 1).acos()
        found = torch.where(waiting & accepted, turn, found)
        waiting = waiting & ~accepted
        if not bool(waiting.any()):
            break
    return wrap((mean + found).to(eta.dtype))
