"""The sampler of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import Bounds, Conditions, Config, OneDraw
from genzoo_diffusion.autoencoder_kl import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class NormalCodesConfig(Config):
    """Decoding of codes from a normal distribution."""

    temperature: Annotated[float, Bounds(0.0, 1e3)] = 1.0
    """The codes' standard deviation."""


class NormalCodes(OneDraw[NormalCodesConfig]):
    """One draw: z ~ N(0, τ² I), then the decoder.

    The KL term attracts codes to this distribution; if its weight is small, samples are poor.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    """

    Config = NormalCodesConfig
    requires = (AutoencoderKL,)

    def codes(self, model: AutoencoderKL, num: int, generator: torch.Generator) -> Tensor:
        """Draw codes (num, L, h, w) from N(0, τ² I)."""
        shape, device = (num, *model.latent_shape), model.device
        noise = torch.randn(shape, generator=generator, device=device, dtype=model.dtype)
        z: Tensor = self.config.temperature * noise
        return z

    def decode(
        self, model: AutoencoderKL, z: Tensor, condition: Conditions, generator: torch.Generator
    ) -> Tensor:
        """Return x, (num, C, H, W), for codes (num, L, h, w)."""
        return model.decode(z)
