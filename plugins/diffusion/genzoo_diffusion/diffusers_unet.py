"""A U-Net of diffusers by its own config, whatever that says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from genzoo import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_config import build


class UNet(nn.Module):
    """diffusers' `UNet2DModel` by its config, without classes.

    Arguments:
        config: The fields of its config.

    Raises:
        ConfigError: A field that the class has not, or a value that is no plain one.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        if config.get("num_class_embeds") is not None or config.get("class_embed_type"):
            raise ConfigError("A U-Net of diffusers that is told of classes is not supported.")
        self.unet = build(diffusers().UNet2DModel, config)

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,)."""
        out: Tensor = self.unet(x_t, t, return_dict=False)[0]
        return out
