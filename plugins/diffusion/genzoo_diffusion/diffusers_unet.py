"""U-Nets of diffusers, built from their own configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from genzoo.plugin import ConfigError, shown
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.diffusers_config import build

_CLASSES = ("num_class_embeds", "class_embed_type")
_TOLD = {
    **dict.fromkeys(_CLASSES),
    "addition_embed_type": None,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "time_cond_proj_dim": None,
    "attention_type": "default",
}
"""What other inputs than states, times and a text's states hang on, and its value without them."""


class UNet(nn.Module):
    """diffusers' `UNet2DModel` from its config, without classes.

    Arguments:
        config: The fields of its config.

    Raises:
        ConfigError: A field is unknown, or a value is not plain.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        if any(config.get(name) for name in _CLASSES):
            raise ConfigError("A class-conditional U-Net of diffusers is not supported.")
        self.unet = build(diffusers().UNet2DModel, config)

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,)."""
        out: Tensor = self.unet(x_t, t, return_dict=False)[0]
        return out


class TextUNet(nn.Module):
    """diffusers' `UNet2DConditionModel` from its config, conditioned on a text only.

    | High-Resolution Image Synthesis with Latent Diffusion Models
    | (Rombach, Blattmann, Lorenz, Esser, Ommer, 2022)

    Arguments:
        config: The fields of its config.
        text_width: D, the size of the text's states.

    Raises:
        ConfigError: A field is unknown, a value is not plain, an input is not supported, or the
            states of the text have another size.
    """

    def __init__(self, config: Mapping[str, Any], text_width: int) -> None:
        super().__init__()
        _check_inputs(config)
        self.unet = build(diffusers().UNet2DConditionModel, config)
        _check_width(self.unet.config.cross_attention_dim, text_width)

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,) and a text.

        Raises:
            ConfigError: The signal has no text.
        """
        return attend(self.unet, x_t, t, signal)


def attend(unet: Any, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
    """Return the prediction of a `UNet2DConditionModel`, given a text and optionally a class.

    Raises:
        ConfigError: The signal has no text.
    """
    if signal.tokens is None:
        raise ConfigError("A network that is conditioned on texts needs a signal with tokens.")
    out: Tensor = unet(
        x_t,
        t,
        class_labels=signal.labels,
        encoder_hidden_states=signal.tokens.to(x_t.dtype),
        encoder_attention_mask=signal.mask,
        return_dict=False,
    )[0]
    return out


def _check_inputs(config: Mapping[str, Any]) -> None:
    for name, value in _TOLD.items():
        if config.get(name, value) != value:
            raise ConfigError(
                f"UNet2DConditionModel: {name} {shown(config[name])} asks for more than states, "
                f"times and a text, which is not supported; {value} is."
            )


def _check_width(found: Any, text_width: int) -> None:
    widths = found if isinstance(found, (list, tuple)) else [found]
    if any(width != text_width for width in widths):
        raise ConfigError(
            f"UNet2DConditionModel: cross_attention_dim is {shown(found)}; the text's states are "
            f"of size {text_width}. The sizes must be equal."
        )
