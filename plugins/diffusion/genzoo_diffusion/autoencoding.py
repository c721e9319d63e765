"""How an autoencoder learns: to give an image back, with codes that stay near N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from genzoo.plugin import Batch, Bounds, Config, Loss, Objective, Step
from genzoo_diffusion.autoencoder_kl import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class AutoencodingConfig(Config):
    """The error of reconstruction and the KL term."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate of Adam."""
    kl_weight: Annotated[float, Bounds(0.0, 1e6)] = 1e-3
    """β."""


class Autoencoding(Objective[AutoencodingConfig]):
    """Reconstruction and β times the KL: lowers E[‖x − x̂(z)‖² + β KL(q(z | x) ‖ N(0, I))] / D.

    Images x have D values, and are scaled: those in [0, 1] are seen in [−1, 1]. The mean is over
    the examples, at one code z of each. At β = 2σ² that is the negative evidence lower bound of
    p(x | z) = N(x̂(z), σ² I), times 2σ² / D and up to a constant.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022), of which the perceptual and the
    | adversarial loss are left out
    """

    Config = AutoencodingConfig
    requires = (AutoencoderKL,)
    model: AutoencoderKL

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the examples, at one code of each."""
        x = self.model.scaled(batch["x"])
        posterior = self.model.posterior(x)
        mean = posterior.mean
        epsilon = torch.randn(
            mean.shape, generator=step.generator, device=mean.device, dtype=mean.dtype
        )
        found = self.model.reconstruct(mean + posterior.std * epsilon)
        error = (x - found).square().mean()
        kl = posterior.kl().mean()
        value = error + self.config.kl_weight * kl / math.prod(self.model.event_shape)
        yield Loss(value, metrics={"error": error.detach(), "kl": kl.detach()})
