"""How x is drawn from a model with a generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Bounds, Conditions, Config, Model, OneDraw, Sampler
from genzoo_gan.latent import LatentModel

_FINITE = 38.0
"""Beyond this number of standard deviations the probability underflows even in float64."""


@dataclass(frozen=True, kw_only=True)
class LatentConfig(Config):
    """A code from the prior, decoded."""

    truncation: Annotated[float | None, Bounds(1e-6, _FINITE)] = None
    """The maximum magnitude of a code, in standard deviations: better and less varied examples; no
    truncation by default."""


class Latent(OneDraw[LatentConfig]):
    """One draw: z ~ N(0, I), optionally truncated to [−c, c], then x = G(z).

    Categories are then drawn with the probabilities that G has for z.

    | Large Scale GAN Training for High Fidelity Natural Image Synthesis
    | (Brock, Donahue, Simonyan, 2019), section 3.1
    """

    Config = LatentConfig
    requires = (LatentModel,)

    def codes(self, model: LatentModel[Any], num: int, generator: torch.Generator) -> Tensor:
        """Draw codes (num, latent_dim)."""
        z = model.latent(num, generator)
        return z if self.config.truncation is None else truncated(z, self.config.truncation)

    def decode(
        self, model: LatentModel[Any], z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return x, (num, *event_shape), for codes (num, latent_dim)."""
        return model.draw(z, condition=condition, generator=generator)


@dataclass(frozen=True, kw_only=True)
class LatentInterpolationConfig(Config):
    """A path from one code to another."""

    num_steps: Annotated[int, Bounds(1, 10**6)] = 8
    """The number of steps from the first code to the last."""


class LatentInterpolation(Sampler[LatentInterpolationConfig]):
    """Interpolation: x = G(z_t) for codes z_t on the arc from one draw of z to another.

    z_t = z_0 cos(πt/2) + z_1 sin(πt/2), t from 0 to 1: for independent z_0, z_1 ~ N(0, I), every
    z_t is a draw of N(0, I) too, so that every state is a sample; on a straight line those
    half-way would be too close to the origin. A trajectory has num_steps + 1 states. Categories
    are drawn with the same noise at every state, so that they change only as G(z_t) does.

    | Sampling Generative Networks (White, 2016)
    """

    Config = LatentInterpolationConfig
    requires = (LatentModel,)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, *event_shape); ``start`` holds the first codes, if given."""
        known: LatentModel[Any] = self.checked(model)
        steps = self.config.num_steps
        last, first = known.latent(num, generator), known.latent(num, generator)
        if start is not None:
            first = start.to(last)
        noise = generator.get_state()
        for step in range(steps + 1):
            generator.set_state(noise)
            z = arc(first, last, step / steps)
            yield known.draw(z, condition=condition, generator=generator)


def arc(first: Tensor, last: Tensor, t: float) -> Tensor:
    """Return the codes at ``t`` in [0, 1] on the arc from the first codes to the last."""
    if t in (0, 1):  # So that both ends are exact.
        return last if t else first
    return math.cos(math.pi * t / 2) * first + math.sin(math.pi * t / 2) * last


def truncated(z: Tensor, c: float) -> Tensor:
    """Map draws of N(0, 1) to draws of N(0, 1) given |z| ≤ c, in the same order.

    Φ(z) is uniform, so Φ⁻¹(Φ(−c) + (Φ(c) − Φ(−c)) Φ(z)) has the truncated distribution, without
    rejections.
    """
    low = 0.5 * math.erfc(c / math.sqrt(2))
    u = torch.special.ndtr(z.double())
    drawn: Tensor = torch.special.ndtri(low + (1 - 2 * low) * u).clamp(-c, c).to(z.dtype)
    return drawn
