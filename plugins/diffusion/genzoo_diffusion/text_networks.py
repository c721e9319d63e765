"""The denoiser of images that is told of a text: diffusers' U-Net with cross-attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_unet import attend
from genzoo_diffusion.networks import check_image, norm_groups

_HEAD = 8


class TextImageNetwork(nn.Module):
    """diffusers' `UNet2DConditionModel`: a U-Net whose attention sees itself and then the text.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        event_shape: (C, H, W); H and W can be halved for every level but one.
        channels: The channels at each level, from the finest.
        layers_per_block: Residual blocks at each level.
        attention_levels: How many of the coarsest levels attend to the text; its middle does
            always.
        dropout: The share of units that are dropped while learning.
        num_classes: Rows of the table of class embeddings, the null class included; None for none.
        text_width: D, the size of the text's states.

    Raises:
        ConfigError: The examples are no images, or cannot be halved so often.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        channels: Sequence[int],
        layers_per_block: int,
        attention_levels: int,
        dropout: float,
        num_classes: int | None,
        text_width: int,
    ) -> None:
        super().__init__()
        check_image(event_shape, len(channels))
        head = math.gcd(_HEAD, *channels)
        attends = [i >= len(channels) - attention_levels for i in range(len(channels))]
        self.unet = diffusers().UNet2DConditionModel(
            sample_size=tuple(event_shape[1:]),
            in_channels=event_shape[0],
            out_channels=event_shape[0],
            block_out_channels=tuple(channels),
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]
            ),
            # In this class the field of that name is the number of heads.
            attention_head_dim=tuple(width // head for width in channels),
            norm_num_groups=norm_groups(event_shape, channels),
            layers_per_block=layers_per_block,
            dropout=dropout,
            num_class_embeds=num_classes,
            cross_attention_dim=text_width,
        )

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,) and a text.

        Raises:
            ConfigError: The signal has no text.
        """
        return attend(self.unet, x_t, t, signal)
