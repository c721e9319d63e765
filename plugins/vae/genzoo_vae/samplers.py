"""How x is drawn from a VAE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from genzoo import Bounds, Config, Model, Sampler
from genzoo.conditions import NONE, Conditions
from genzoo_vae.vae import VAE


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """A code from the prior, then x given the code."""

    output: Literal["sample", "mean"] = "sample"
    """A draw from p(x | z), or its mean, which makes smoother pictures and is no sample."""
    temperature: Annotated[float, Bounds(0.0, 100.0)] = 1.0
    """What codes are multiplied by; less than 1 draws nearer to the most likely ones."""


class Prior(Sampler):
    """Ancestral sampling: z ~ N(0, I), then x ~ p(x | z).

    A trajectory has one state, x.
    """

    Config = PriorConfig
    requires = (VAE,)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NONE,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, *event_shape); ``start`` holds codes (num, latent_dim), where given."""
        vae: VAE = self.checked(model)
        z = start
        if z is None:
            shape = (num, vae.config.latent_dim)
            z = torch.randn(shape, generator=generator, device=vae.device, dtype=vae.dtype)
        z = self.config.temperature * z.to(vae.device, vae.dtype)
        if self.config.output == "mean":
            yield vae.decode(z, condition=condition)
            return
        y = vae.checked(condition, num)
        yield vae.observation.draw(vae.outputs(z, y), generator)
