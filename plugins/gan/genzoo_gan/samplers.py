"""How x is drawn from a model with a generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from genzoo import Bounds, CapabilityError, Config, GenerativeModel, Sampler
from genzoo_gan.adversarial import AdversarialModel

_FINITE = 38.0
"""Beyond so many standard deviations even float64 knows no probability."""


@dataclass(frozen=True, kw_only=True)
class LatentConfig(Config):
    """A code from the prior, decoded."""

    truncation: Annotated[float | None, Bounds(1e-6, _FINITE)] = None
    """The greatest value of a code, in standard deviations: fewer draws from the tails, so better
    and less varied examples; none by default."""


class Latent(Sampler):
    """z ~ N(0, I), each value cut off at ±c where asked for, then x = G(z). One state: x.

    | Large Scale GAN Training for High Fidelity Natural Image Synthesis
    | (Brock, Donahue, Simonyan, 2019), section 3.1
    """

    Config = LatentConfig

    def trajectory(
        self,
        model: GenerativeModel,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Any = None,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, *event_shape); ``start`` holds codes (num, latent_dim), where given."""
        if not isinstance(model, AdversarialModel):
            raise CapabilityError(
                f"This sampler draws codes of a generator; {type(model).__name__} has none. Leave "
                "--sampler out to use the model's own sampler."
            )
        z = start
        if z is None:
            z = model.latent(num, generator)
            if self.config.truncation is not None:
                z = truncated(z, self.config.truncation)
        yield model.decode(z, condition=condition)


def truncated(z: Tensor, c: float) -> Tensor:
    """Turn draws of N(0, 1) into draws of N(0, 1) given |z| ≤ c, in the same order.

    Φ(z) is uniform, so Φ⁻¹(Φ(−c) + (Φ(c) − Φ(−c)) Φ(z)) is the truncated one: no draw is refused.
    """
    low = 0.5 * math.erfc(c / math.sqrt(2))
    u = torch.special.ndtr(z.double())
    drawn: Tensor = torch.special.ndtri(low + (1 - 2 * low) * u).clamp(-c, c).to(z.dtype)
    return drawn
