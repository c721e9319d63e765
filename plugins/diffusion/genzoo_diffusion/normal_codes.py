"""How x is drawn from an autoencoder alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo import Bounds, Config, Model, Sampler
from genzoo.conditions import NONE, Conditions
from genzoo_diffusion.autoencoder_kl import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class NormalCodesConfig(Config):
    """Codes from a normal distribution, decoded."""

    temperature: Annotated[float, Bounds(0.0, 1e3)] = 1.0
    """The codes' standard deviation."""


class NormalCodes(Sampler):
    """One draw: z ~ N(0, τ² I), decoded.

    A trajectory has one state, x.

    It is what the KL term draws codes to, and rough where its weight is small.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    """

    Config = NormalCodesConfig
    requires = (AutoencoderKL,)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NONE,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, C, H, W); ``start`` holds codes (num, L, h, w), where given."""
        autoencoder: AutoencoderKL = self.checked(model)
        z = start
        if z is None:
            shape, device = (num, *autoencoder.latent_shape), autoencoder.device
            noise = torch.randn(shape, generator=generator, device=device, dtype=model.dtype)
            z = self.config.temperature * noise
        yield autoencoder.decode(z)
