"""The parts of a diffusion model, built from its config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from genzoo.plugin import Text
from genzoo_diffusion.conditioning import Embedder, named, num_classes_of
from genzoo_diffusion.diffusers_unet import TextUNet, UNet
from genzoo_diffusion.fitted_text import FittedTextEncoder
from genzoo_diffusion.networks import FlatNetwork, ImageNetwork, UNetShape
from genzoo_diffusion.patch_transformer import PatchTransformer
from genzoo_diffusion.pretrained_text import PretrainedTextEncoder
from genzoo_diffusion.stored_text import StoredTextEncoder
from genzoo_diffusion.text_encoders import TextEncoder
from genzoo_diffusion.text_networks import TextImageNetwork


def make_embedder(config: Any) -> Embedder:
    """Return the embedder of the config's conditions."""
    text = named(config.conditions, Text)
    return Embedder(config.conditions, make_text_encoder(config) if text else None)


def make_text_encoder(config: Any) -> TextEncoder:
    """Return the encoder of the config's texts."""
    if config.frozen_text is not None:
        return PretrainedTextEncoder(config.frozen_text)
    if config.stored_text is not None:
        return StoredTextEncoder(config.stored_text)
    return FittedTextEncoder(config.text)


def make_network(config: Any, state_shape: Sequence[int]) -> nn.Module:
    """Return the network of a config, for states of a shape."""
    labels = num_classes_of(config.conditions)
    classes = None if labels is None else labels + 1
    width = text_width(config) if named(config.conditions, Text) else None
    if config.network == "image":
        if config.unet:
            return UNet(config.unet) if width is None else TextUNet(config.unet, width)
        shape = UNetShape(
            state_shape,
            config.channels,
            config.layers_per_block,
            config.attention_levels,
            config.dropout,
            classes,
        )
        return ImageNetwork(shape) if width is None else TextImageNetwork(shape, width)
    if config.network == "transformer":
        return PatchTransformer(
            state_shape,
            config.patch_size,
            width=config.hidden_dim,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            mlp_ratio=config.mlp_ratio,
            dropout=config.dropout,
            time_features=config.time_features,
            num_timesteps=_longest(config),
            num_classes=classes,
            text_width=width,
        )
    return FlatNetwork(
        state_shape,
        config.hidden_dim,
        config.num_blocks,
        config.time_features,
        config.state_features,
        config.feature_scale,
        _longest(config),
        classes,
        width,
    )


def _longest(config: Any) -> int:
    """Return the size of the times that the network sees: about 1 for EDM's ln(σ) / 4."""
    return 1 if config.prediction_type == "edm" else int(config.num_train_timesteps)


def text_width(config: Any) -> int:
    """Return the size of the states of the config's encoder of texts."""
    return int((config.frozen_text or config.stored_text or config.text).width)
