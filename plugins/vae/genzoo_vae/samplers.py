"""How x is drawn from a VAE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo import Bounds, CapabilityError, Config, GenerativeModel, Sampler
from genzoo_vae.vae import VAE


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """A code from the prior, then x given the code."""

    output: Literal["sample", "mean"] = "sample"
    """A draw from p(x | z), or its mean, which makes smoother pictures and is no sample."""
    temperature: Annotated[float, Bounds(0.0, 100.0)] = 1.0
    """What codes are multiplied by; less than 1 draws nearer to the most likely ones."""


class Prior(Sampler):
    """Ancestral sampling: z ~ N(0, I), then x ~ p(x | z). A trajectory has one state, x."""

    Config = PriorConfig

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
        if not isinstance(model, VAE):
            raise CapabilityError(
                f"This sampler draws from a VAE's prior; {type(model).__name__} is none. Leave "
                "--sampler out to use the model's own sampler."
            )
        z = start
        if z is None:
            shape = (num, model.config.latent_dim)
            z = torch.randn(shape, generator=generator, device=model.device, dtype=model.dtype)
        z = self.config.temperature * z.to(model.device, model.dtype)
        if self.config.output == "mean":
            yield model.decode(z, condition=condition)
            return
        y = model.checked(condition, num)
        yield model.observation.draw(model.outputs(z, y), generator)
