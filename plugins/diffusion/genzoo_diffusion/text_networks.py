"""The denoiser of images that is conditioned on a text: diffusers' U-Net with cross-attention."""

from __future__ import annotations

from torch import Tensor, nn

from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_unet import attend
from genzoo_diffusion.networks import UNetShape


class TextImageNetwork(nn.Module):
    """diffusers' `UNet2DConditionModel`: a U-Net with self-attention and then cross-attention.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        shape: Its shape; its middle block always has attention.
        text_width: D, the size of the text's states.
    """

    def __init__(self, shape: UNetShape, text_width: int) -> None:
        super().__init__()
        self.unet = diffusers().UNet2DConditionModel(
            **shape.fields("CrossAttn"),
            # In this class the field of that name is the number of heads.
            attention_head_dim=tuple(width // shape.head_dim for width in shape.channels),
            cross_attention_dim=text_width,
        )

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,) and a text.

        Raises:
            ConfigError: The signal has no text.
        """
        return attend(self.unet, x_t, t, signal)
