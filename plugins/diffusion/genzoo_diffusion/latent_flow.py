"""The rectified flow of the codes of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genzoo.plugin import Batch, Label, Layout, ModelSpec
from genzoo_diffusion.autoencoder_kl import AutoencoderKL
from genzoo_diffusion.code_states import CodesConfig, CodeStates
from genzoo_diffusion.flow import Flow, FlowConfig


@dataclass(frozen=True, kw_only=True)
class LatentRectifiedFlowConfig(CodesConfig, FlowConfig):
    """A rectified flow of codes."""


class LatentRectifiedFlow(CodeStates, Flow):
    """A rectified flow whose states are codes of a frozen autoencoder; see `CodeStates`.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)
    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023)

    Arguments:
        config: Autoencoder, network and conditions.
    """

    Config = LatentRectifiedFlowConfig
    papers = (
        (
            "Xingchao Liu, Chengyue Gong, Qiang Liu. Flow Straight and Fast: Learning to Generate "
            "and Transfer Data with Rectified Flow. ICLR, 2023."
        ),
        (
            "Robin Rombach, Andreas Blattmann, Dominik Lorenz, Patrick Esser, Björn Ommer. "
            "High-Resolution Image Synthesis with Latent Diffusion Models. CVPR, 2022."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        "It has no likelihood of the data: it is a flow of codes.",
        "No sample is better than its autoencoder's reconstructions.",
        (
            "Guidance above 1 does not draw from the model's distribution: samples fit their "
            "condition better and vary less."
        ),
    )

    @classmethod
    def example(cls) -> tuple[LatentRectifiedFlowConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        inner, batch = AutoencoderKL.example()
        config = LatentRectifiedFlowConfig(
            autoencoder=ModelSpec(name="autoencoder-kl", config=inner.to_dict()),
            channels=(8, 8),
            conditions={"label": Label(num_classes=3)},
        )
        return config, {**batch, "label": torch.arange(12) % 3}

    def layout(self) -> Layout:
        """Return diffusers' layout of its parts."""
        from genzoo_diffusion.latent_layout import latent_layout

        return latent_layout(self)
