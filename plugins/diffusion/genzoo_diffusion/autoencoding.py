"""The objective of autoencoders: reconstruction, and codes close to N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch

from genzoo.plugin import Batch, Bounds, Config, Goal, Loss, Meaning, Objective, Step
from genzoo_diffusion.autoencoder_kl import AutoencoderKL


@dataclass(frozen=True, kw_only=True)
class AutoencodingConfig(Config):
    """The reconstruction error and the KL term."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate of Adam."""
    kl_weight: Annotated[float, Bounds(0.0, 1e6)] = 1e-3
    """β."""


class Autoencoding(Objective[AutoencodingConfig]):
    """Minimises E[‖x − x̂(z)‖² + β KL(q(z | x) ‖ N(0, I))] / D.

    Images x have D values, and are scaled from [0, 1] to [−1, 1]. The mean is over the examples,
    with one code z for each. At β = 2σ² the loss is the negative evidence lower bound of p(x | z)
    = N(x̂(z), σ² I), times 2σ² / D and up to a constant.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022), without its perceptual
    | and adversarial losses
    """

    Config = AutoencodingConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "squared error plus the weighted KL term, for each value of x",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly",
        ),
        "error": Meaning(
            "squared error of reconstructions of images in [−1, 1], a mean over values",
            goal=Goal("lower", 0.0),
            healthy="it falls fast, then slowly",
        ),
        "kl": Meaning(
            "KL divergence of the codes from N(0, I)",
            unit="nats",
            goal=Goal("none"),
            healthy="it is steady; at 0 the codes say nothing about x",
        ),
    }
    requires = (AutoencoderKL,)
    model: AutoencoderKL

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the examples, with one code for each."""
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
