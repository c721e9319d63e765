"""The sampler of a VAE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from genzoo.plugin import Bounds, Conditions, Config, OneDraw
from genzoo_vae.vae import VAE


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """A code from the prior, then x given the code."""

    output: Literal["sample", "mean"] = "sample"
    """A draw from p(x | z), or its mean, which is smoother but not a sample."""
    temperature: Annotated[float, Bounds(0.0, 100.0)] = 1.0
    """The factor of codes; values below 1 draw nearer to the most likely codes."""


class Prior(OneDraw[PriorConfig]):
    """Ancestral sampling: z ~ N(0, I), then x ~ p(x | z)."""

    Config = PriorConfig
    requires = (VAE,)

    def codes(self, model: VAE, num: int, generator: torch.Generator) -> Tensor:
        """Draw codes (num, latent_dim) from N(0, I)."""
        shape = (num, model.config.latent_dim)
        return torch.randn(shape, generator=generator, device=model.device, dtype=model.dtype)

    def decode(
        self, model: VAE, z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return x, (num, *event_shape), for codes (num, latent_dim) before the temperature."""
        z = self.config.temperature * z.to(model.device, model.dtype)
        if self.config.output == "mean":
            return model.decode(z, condition=condition)
        y = model.checked(condition, len(z))
        return model.observation.draw(model.outputs(z, y), generator)
