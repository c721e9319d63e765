"""Networks of discrete diffusion: from categories at each place to logits at each place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Text
from genzoo_diffusion.conditioning import Signal, named, num_classes_of
from genzoo_diffusion.construction import text_width
from genzoo_diffusion.networks import (
    ImageNetwork,
    ResidualBlock,
    TextEmbedding,
    TimeEmbedding,
    UNetShape,
    widest as widest_level,
)
from genzoo_diffusion.text_networks import TextImageNetwork
from genzoo_diffusion.transformer_network import AdaptiveTransformer

TIME_UNIT = 1000
"""Times in [0, 1] are multiplied by this number, as for a chain of 1,000 steps."""


class FlatTokens(nn.Module):
    """Residual fully connected layers over the embedded categories of all places.

    Arguments:
        shape: The shape of a row.
        num_states: The number of categories that a place can have, masks included.
        num_categories: K.
        embedding_dim: The size of the vector of a category.
        hidden_dim: The width.
        num_blocks: The number of residual blocks.
        time_features: The time features, "sinusoidal" or "fourier"; None without times.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        width_of_text: D, the size of a text's states; None without texts.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_states: int,
        num_categories: int,
        embedding_dim: int,
        hidden_dim: int,
        num_blocks: int,
        time_features: str | None,
        num_classes: int | None,
        width_of_text: int | None,
    ) -> None:
        super().__init__()
        size = math.prod(shape)
        self.num_categories = num_categories
        self.embedding = nn.Embedding(num_states, embedding_dim)
        self.time = TimeEmbedding(hidden_dim, time_features, TIME_UNIT) if time_features else None
        self.classes = None if num_classes is None else nn.Embedding(num_classes, hidden_dim)
        self.text = None if width_of_text is None else TextEmbedding(width_of_text, hidden_dim)
        self.told = nn.Parameter(torch.zeros(hidden_dim))
        self.input = nn.Linear(size * embedding_dim, hidden_dim)
        self.blocks = nn.ModuleList(ResidualBlock(hidden_dim) for _ in range(num_blocks))
        self.output = nn.Sequential(nn.SiLU(), nn.Linear(hidden_dim, size * num_categories))

    def forward(self, x_t: Tensor, t: Tensor | None, signal: Signal) -> Tensor:
        """Return logits (B, *shape, K) for states (B, *shape) at times (B,)."""
        told = self.told.expand(x_t.shape[0], -1)
        if self.time is not None and t is not None:
            told = told + self.time(TIME_UNIT * t)
        if self.classes is not None:
            told = told + self.classes(signal.labels)
        if self.text is not None:
            told = told + self.text(signal)
        h = self.input(self.embedding(x_t).flatten(1))
        for block in self.blocks:
            h = block(h, told)
        out: Tensor = self.output(h)
        return out.view(*x_t.shape, self.num_categories)


class PatchEmbedding(nn.Module):
    """The vectors of patches: a sum of learned vectors, one for each place and its category.

    Arguments:
        num_places: The number of places in a patch, P.
        num_states: The number of categories that a place can have, masks included.
        width: The size of a vector.
        std: The standard deviation of a number of a vector at first.
    """

    def __init__(self, num_places: int, num_states: int, width: int, std: float = 1.0) -> None:
        super().__init__()
        each = std * num_places**-0.5
        self.weight = nn.Parameter(each * torch.randn(num_places * num_states, width))
        first = torch.arange(num_places) * num_states
        self.register_buffer("first", first, persistent=False)

    first: Tensor

    def forward(self, patches: Tensor) -> Tensor:
        """Return vectors (B, N, W) of the categories of patches (B, N, P)."""
        bags = (patches + self.first).flatten(0, 1)
        found = F.embedding_bag(bags, self.weight, mode="sum")
        return found.view(patches.shape[0], patches.shape[1], -1)


class ImageTokens(nn.Module):
    """diffusers' U-Net over images of vectors, one for each square patch of p × p places.

    Without times it is given t = 0.

    Arguments:
        shape: (C, H, W).
        num_states: The number of categories that a place can have, masks included.
        num_categories: K.
        config: The config of the patches and the U-Net: patch_size, embedding_dim, channels,
            layers_per_block, attention_levels, dropout.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        width_of_text: D, the size of a text's states; None without texts.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_states: int,
        num_categories: int,
        config: Any,
        num_classes: int | None,
        width_of_text: int | None,
    ) -> None:
        super().__init__()
        p, places = config.patch_size, places_of_patch(shape, config.patch_size)
        self.patch_size, self.num_categories = p, num_categories
        self.embedding = PatchEmbedding(places, num_states, config.embedding_dim)
        unet = UNetShape(
            (config.embedding_dim, shape[1] // p, shape[2] // p),
            config.channels,
            config.layers_per_block,
            config.attention_levels,
            config.dropout,
            num_classes,
            out_channels=places * num_categories,
        )
        self.network: nn.Module = (
            ImageNetwork(unet) if width_of_text is None else TextImageNetwork(unet, width_of_text)
        )

    def forward(self, x_t: Tensor, t: Tensor | None, signal: Signal) -> Tensor:
        """Return logits (B, C, H, W, K) for states (B, C, H, W) at times (B,)."""
        _, _, height, width = x_t.shape
        patches = to_patches(x_t, self.patch_size)
        h = self.embedding(patches).mT
        h = h.reshape(*h.shape[:2], height // self.patch_size, width // self.patch_size)
        times = h.new_zeros(h.shape[0]) if t is None else TIME_UNIT * t
        out: Tensor = self.network(h, times, signal)
        logits = out.flatten(2).mT.reshape(*patches.shape, self.num_categories)
        return from_patches(logits, x_t.shape[1:], self.patch_size)


class TransformerTokens(nn.Module):
    """A transformer whose tokens are places, or square patches of p × p places of images.

    Arguments:
        shape: The shape of a row; (C, H, W) if the patches have more than one place.
        num_states: The number of categories that a place can have, masks included.
        num_categories: K.
        patch_size: p.
        trunk: The layers.
        width: W, the size of a vector.
    """

    def __init__(
        self,
        shape: Sequence[int],
        num_states: int,
        num_categories: int,
        patch_size: int,
        trunk: AdaptiveTransformer,
        width: int,
    ) -> None:
        super().__init__()
        self.num_categories, self.patch_size = num_categories, patch_size
        places = places_of_patch(shape, patch_size)
        # As large as the vectors of positions, so that neither hides the other.
        self.embedding = PatchEmbedding(places, num_states, width, std=0.02)
        self.trunk = trunk
        self.output = nn.Linear(width, places * num_categories)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x_t: Tensor, t: Tensor | None, signal: Signal) -> Tensor:
        """Return logits (B, *shape, K) for states (B, *shape) at times (B,)."""
        patches = to_patches(x_t, self.patch_size)
        times = None if t is None else TIME_UNIT * t
        out: Tensor = self.output(self.trunk(self.embedding(patches), times, signal))
        logits = out.view(*patches.shape, self.num_categories)
        return from_patches(logits, x_t.shape[1:], self.patch_size)


def places_of_patch(shape: Sequence[int], patch_size: int) -> int:
    """Return the number of places of a token."""
    return 1 if patch_size == 1 and len(shape) != 3 else shape[0] * patch_size**2


def to_patches(x: Tensor, p: int) -> Tensor:
    """Return the places of each token, (B, N, P), of rows (B, *shape)."""
    if x.ndim != 4:
        return x.flatten(1).unsqueeze(-1)
    B, C, H, W = x.shape
    cut = x.view(B, C, H // p, p, W // p, p).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(B, (H // p) * (W // p), C * p * p)


def from_patches(values: Tensor, shape: Sequence[int], p: int) -> Tensor:
    """Return values (B, *shape, K) of tokens (B, N, P, K)."""
    B, _, _, K = values.shape
    if len(shape) != 3:
        return values.reshape(B, *shape, K)
    C, H, W = shape
    cut = values.view(B, H // p, W // p, C, p, p, K).permute(0, 3, 1, 4, 2, 5, 6)
    return cut.reshape(B, C, H, W, K)


def make_token_network(config: Any, num_states: int, has_time: bool) -> nn.Module:
    """Return the network of a config.

    Arguments:
        config: A `DiscreteDiffusionConfig`.
        num_states: The number of categories that a place can have, masks included.
        has_time: Whether the network is told the time.
    """
    shape, K = config.event.event_shape, config.event.num_values
    labels = num_classes_of(config.conditions)
    classes = None if labels is None else labels + 1
    width = text_width(config) if named(config.conditions, Text) else None
    told = classes, width
    if config.network == "image":
        return ImageTokens(shape, num_states, K, config, *told)
    features = config.time_features if has_time else None
    if config.network == "flat":
        sizes = config.embedding_dim, config.hidden_dim, config.num_blocks
        return FlatTokens(shape, num_states, K, *sizes, features, *told)
    trunk = AdaptiveTransformer(
        width=config.hidden_dim,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
        dropout=config.dropout,
        num_tokens=math.prod(shape) // places_of_patch(shape, config.patch_size),
        has_time=has_time,
        time_features=config.time_features,
        num_timesteps=TIME_UNIT,
        num_classes=classes,
        text_width=width,
    )
    return TransformerTokens(shape, num_states, K, config.patch_size, trunk, config.hidden_dim)


def widest(config: Any) -> int:
    """Return the number of values of the widest layer for one row."""
    shape: tuple[int, ...] = config.event.event_shape
    width = int(config.hidden_dim)
    logits = math.prod(shape) * int(config.event.num_values)
    if config.network == "image":
        p = int(config.patch_size)
        sides = (shape[1] // p, shape[2] // p)
        return max(logits, widest_level(config.channels, (1, *sides)))
    if config.network == "flat":
        return max(logits, math.prod(shape) * int(config.embedding_dim), width)
    tokens = math.prod(shape) // places_of_patch(shape, config.patch_size)
    return max(logits, tokens * width * max(3, int(config.mlp_ratio)))
