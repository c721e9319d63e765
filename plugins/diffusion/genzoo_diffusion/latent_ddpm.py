"""A diffusion model over the codes of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from genzoo.plugin import Batch, Bounds, Label, Layout, ModelSpec
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.code_states import CodesConfig, CodeStates
from genzoo_diffusion.config import DiffusionConfig
from genzoo_diffusion.diffusion import Diffusion


@dataclass(frozen=True, kw_only=True)
class LatentDDPMConfig(CodesConfig, DiffusionConfig):
    """A denoising diffusion model of codes."""

    sigma_data: Annotated[float, Bounds(1e-3, 1e3)] = 1.0
    """The standard deviation of the states, for "edm": codes are scaled to 1."""


class LatentDDPM(CodeStates, Diffusion):
    """A diffusion model whose states are codes of a frozen autoencoder; see `CodeStates`.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: Autoencoder, network, schedule and conditions.
    """

    Config = LatentDDPMConfig
    papers = (
        (
            "Robin Rombach, Andreas Blattmann, Dominik Lorenz, Patrick Esser, Björn Ommer. "
            "High-Resolution Image Synthesis with Latent Diffusion Models. CVPR, 2022."
        ),
        (
            "Jonathan Ho, Ajay Jain, Pieter Abbeel. Denoising Diffusion Probabilistic Models. "
            "NeurIPS, 2020."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        "It has no likelihood of the data: it is a diffusion over codes.",
        "No sample is better than its autoencoder's reconstructions.",
        (
            "Guidance above 1 does not draw from the model's distribution: samples fit their "
            "condition better and vary less."
        ),
    )

    @classmethod
    def example(cls) -> tuple[LatentDDPMConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        inner, batch = AutoencoderKL.example()
        config = LatentDDPMConfig(
            autoencoder=ModelSpec(name="autoencoder-kl", config=inner.to_dict()),
            channels=(8, 8),
            num_train_timesteps=10,
            schedule="cosine",
            conditions={"label": Label(num_classes=3)},
        )
        return config, {**batch, "label": torch.arange(12) % 3}

    def layout(self) -> Layout:
        """Return diffusers' layout: a `StableDiffusionPipeline`, or the parts of one."""
        from genzoo_diffusion.latent_layout import latent_layout

        return latent_layout(self)
