"""The parts of a diffusion model, made by its config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from genzoo_diffusion.conditioning import Embedder, LabelEmbedder, NoCondition
from genzoo_diffusion.diffusers_unet import TextUNet, UNet
from genzoo_diffusion.fitted_text import FittedTextEncoder
from genzoo_diffusion.networks import FlatNetwork, ImageNetwork
from genzoo_diffusion.pretrained_text import PretrainedTextEncoder
from genzoo_diffusion.stored_text import StoredTextEncoder
from genzoo_diffusion.text_encoders import TextEmbedder, TextEncoder
from genzoo_diffusion.text_networks import TextImageNetwork


def make_embedder(config: Any) -> Embedder:
    """Return what makes signals of the config's conditions."""
    if config.condition == "text":
        return TextEmbedder(make_text_encoder(config))
    return LabelEmbedder(config.num_classes) if config.condition == "label" else NoCondition()


def make_text_encoder(config: Any) -> TextEncoder:
    """Return the encoder of the config's texts."""
    if config.frozen_text is not None:
        return PretrainedTextEncoder(config.frozen_text)
    if config.stored_text is not None:
        return StoredTextEncoder(config.stored_text)
    return FittedTextEncoder(config.text)


def make_network(config: Any, state_shape: Sequence[int]) -> nn.Module:
    """Return the network of a config, over states of a shape."""
    classes = config.num_classes + 1 if config.condition == "label" else None
    width = _text_width(config) if config.condition == "text" else None
    if config.network == "image":
        image = (
            state_shape,
            config.channels,
            config.layers_per_block,
            config.attention_levels,
            config.dropout,
        )
        if width is not None:
            return TextUNet(config.unet, width) if config.unet else TextImageNetwork(*image, width)
        return UNet(config.unet) if config.unet else ImageNetwork(*image, classes)
    return FlatNetwork(
        state_shape,
        config.hidden_dim,
        config.num_blocks,
        config.time_features,
        config.state_features,
        config.feature_scale,
        config.num_train_timesteps,
        classes,
        width,
    )


def _text_width(config: Any) -> int:
    """Return the size of the states of the config's encoder of texts."""
    return int((config.frozen_text or config.stored_text or config.text).width)
