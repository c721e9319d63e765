"""The generative adversarial network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import Batch, ConditionError
from genzoo_gan.adversarial import AdversarialModel, GeneratorConfig
from genzoo_gan.views import View


@dataclass(frozen=True, kw_only=True)
class GANConfig(GeneratorConfig):
    """A generative adversarial network."""


class GAN(AdversarialModel):
    """x = G(z), z ~ N(0, I).

    | Generative Adversarial Networks (Goodfellow et al., 2014)

    Arguments:
        config: Shapes and the generator's layers.
    """

    Config = GANConfig

    @classmethod
    def example(cls) -> tuple[GANConfig, Batch]:
        """Return a small one, and twelve rows for it."""
        generator = torch.Generator().manual_seed(0)
        config = GANConfig(event_shape=(1, 3, 3), latent_dim=2, hidden_dims=(6,))
        return config, {"x": torch.rand(12, 1, 3, 3, generator=generator)}

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return G(z), (B, *event_shape), for codes (B, L)."""
        if condition is not None:
            raise ConditionError("This GAN takes no condition. Leave it out.")
        return self.generate(z.to(self.device, self.dtype))

    def fake(self, z: Tensor, batch: Batch) -> View:
        """Return G(z)."""
        return View(self.generate(z))

    def real(self, batch: Batch) -> View:
        """Return the data."""
        return View(batch["x"])
