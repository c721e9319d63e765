"""A U-Net of diffusers by its own config, whatever that says."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from genzoo import ConfigError
from genzoo.config import shown
from genzoo.errors import suggest
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers

_MOST = 2**16
"""No number, and no list, in a config of a U-Net is larger."""
_Plain = (str, int, float, bool, type(None))


class UNet(nn.Module):
    """diffusers' `UNet2DModel` by its config, without classes.

    Arguments:
        config: The fields of its config.

    Raises:
        ConfigError: A field that the class has not, or a value that is no plain one.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        cls = diffusers().UNet2DModel
        _check(config, list(inspect.signature(cls.__init__).parameters)[1:])
        if config.get("num_class_embeds") is not None or config.get("class_embed_type"):
            raise ConfigError("A U-Net of diffusers that is told of classes is not supported.")
        lists = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in config.items()}
        self.unet = cls(**lists)

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,)."""
        out: Tensor = self.unet(x_t, t, return_dict=False)[0]
        return out


def _check(config: Mapping[str, Any], known: list[str]) -> None:
    for name, value in config.items():
        if name not in known:
            raise ConfigError(f"UNet2DModel has no field {shown(name)}. {suggest(name, known)}")
        values = value if isinstance(value, (list, tuple)) else [value]
        plain = all(isinstance(v, _Plain) for v in values) and len(values) <= _MOST
        if not plain or any(isinstance(v, (int, float)) and abs(v) > _MOST for v in values):
            raise ConfigError(f"UNet2DModel: {name} cannot be {shown(value)}.")
