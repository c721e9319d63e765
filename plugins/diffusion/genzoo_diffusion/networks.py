"""Denoising networks: diffusers' U-Net for images, fully connected layers for flat data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.plugin import ConfigError
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.dependencies import diffusers

_HEAD = 8
_FOURIER_SCALE = 16.0


@dataclass(frozen=True)
class UNetShape:
    """The shape of a U-Net of diffusers.

    Arguments:
        event_shape: (C, H, W); H and W are halved at every level but one.
        channels: The channels at each level, from the finest.
        layers_per_block: The number of residual blocks at each level.
        attention_levels: The number of the coarsest levels with attention, to themselves or to a
            text.
        dropout: The probability of dropout.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        out_channels: The number of channels of the output; C by default.

    Raises:
        ConfigError: The examples are not images, or cannot be halved that often.
    """

    event_shape: Sequence[int]
    channels: Sequence[int]
    layers_per_block: int
    attention_levels: int
    dropout: float
    num_classes: int | None
    out_channels: int | None = None

    def __post_init__(self) -> None:
        check_image(self.event_shape, len(self.channels))

    @property
    def head_dim(self) -> int:
        """The size of an attention head, which divides each level's channels."""
        return math.gcd(_HEAD, *self.channels)

    def fields(self, attending: str) -> dict[str, Any]:
        """Return the arguments of diffusers' classes.

        Arguments:
            attending: The prefix of the names of blocks with attention.
        """
        num = len(self.channels)
        kinds = [attending if i >= num - self.attention_levels else "" for i in range(num)]
        return {
            "sample_size": tuple(self.event_shape[1:]),
            "in_channels": self.event_shape[0],
            "out_channels": self.out_channels or self.event_shape[0],
            "block_out_channels": tuple(self.channels),
            "down_block_types": tuple(f"{kind}DownBlock2D" for kind in kinds),
            "up_block_types": tuple(f"{kind}UpBlock2D" for kind in kinds[::-1]),
            "norm_num_groups": norm_groups(self.event_shape, self.channels),
            "layers_per_block": self.layers_per_block,
            "dropout": self.dropout,
            "num_class_embeds": self.num_classes,
        }


class ImageNetwork(nn.Module):
    """diffusers' `UNet2DModel`: convolutional residual blocks at successively halved sizes.

    | U-Net: Convolutional Networks for Biomedical Image Segmentation
    | (Ronneberger, Fischer, Brox, 2015)

    Arguments:
        shape: Its shape, with self-attention.
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.unet = diffusers().UNet2DModel(
            **shape.fields("Attn"),
            add_attention=shape.attention_levels > 0,
            attention_head_dim=shape.head_dim,
        )

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, C, H, W) for states (B, C, H, W) at times (B,)."""
        out: Tensor = self.unet(x_t, t, class_labels=signal.labels, return_dict=False)[0]
        return out


class FlatNetwork(nn.Module):
    """Residual fully connected layers, each conditioned on the time and on a class or a text.

    With the state it may see sinusoids of random projections of it: of few dimensions, layers
    alone learn nothing as fine as a mode of a hundredth of the data's extent.

    | Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains
    | (Tancik et al., 2020)

    Arguments:
        event_shape: The shape of one example.
        hidden_dim: The width.
        num_blocks: The number of residual blocks.
        time_features: Sinusoidal time features, or random Fourier ones.
        state_features: The number of random projections of the state; 0 for none.
        feature_scale: The standard deviation of their frequencies, in cycles per unit of the
            state.
        num_timesteps: T.
        num_classes: The number of class embeddings, including the null class; None without
            classes.
        text_width: D, the size of a text's states; None without texts.
    """

    frequencies: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden_dim: int,
        num_blocks: int,
        time_features: str,
        state_features: int,
        feature_scale: float,
        num_timesteps: int,
        num_classes: int | None,
        text_width: int | None,
    ) -> None:
        super().__init__()
        size = math.prod(event_shape)
        self.time = TimeEmbedding(hidden_dim, time_features, num_timesteps)
        self.classes = None if num_classes is None else nn.Embedding(num_classes, hidden_dim)
        self.text = None if text_width is None else TextEmbedding(text_width, hidden_dim)
        self.register_buffer("frequencies", feature_scale * torch.randn(size, state_features))
        self.input = nn.Linear(size + 2 * state_features, hidden_dim)
        self.blocks = nn.ModuleList(ResidualBlock(hidden_dim) for _ in range(num_blocks))
        self.output = nn.Sequential(nn.SiLU(), nn.Linear(hidden_dim, size))

    def forward(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return a prediction (B, *event_shape) for states (B, *event_shape) at times (B,)."""
        told = self.time(t)
        if self.classes is not None:
            told = told + self.classes(signal.labels)
        if self.text is not None:
            told = told + self.text(signal)
        h = self.input(self._seen(x_t.flatten(1)))
        for block in self.blocks:
            h = block(h, told)
        out: Tensor = self.output(h)
        return out.view_as(x_t)

    def _seen(self, x: Tensor) -> Tensor:
        """Return states (B, D) with the sinusoids of their projections, (B, D + 2F)."""
        angle = 2 * math.pi * x @ self.frequencies
        return torch.cat([x, angle.sin(), angle.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """Time features, as in diffusers, and two layers.

    | Attention Is All You Need (Vaswani et al., 2017)
    | Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains
    | (Tancik et al., 2020)

    Arguments:
        dim: The size of the result.
        features: "sinusoidal" or "fourier".
        num_timesteps: T, by which random Fourier features divide the time.
    """

    def __init__(self, dim: int, features: str, num_timesteps: int) -> None:
        super().__init__()
        embeddings = diffusers("models.embeddings")
        width = dim + dim % 2
        self.features: Any
        if features == "fourier":
            self.unit = num_timesteps
            self.features = embeddings.GaussianFourierProjection(
                width // 2, scale=_FOURIER_SCALE, log=False
            )
        else:
            self.unit = 1
            self.features = embeddings.Timesteps(width, True, 0)
        self.layers = nn.Sequential(nn.Linear(width, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        """Return embeddings (B, dim) of times (B,)."""
        dtype = next(self.layers.parameters()).dtype
        features = self.features(t.to(dtype) / self.unit)
        out: Tensor = self.layers(features.to(dtype))
        return out


class TextEmbedding(nn.Module):
    """The mean of a text's states, and one linear layer.

    | Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks (Reimers, Gurevych, 2019),
    | for the mean

    Arguments:
        text_width: D, the size of a state.
        dim: The size of the result.
    """

    def __init__(self, text_width: int, dim: int) -> None:
        super().__init__()
        self.layer = nn.Linear(text_width, dim)

    def forward(self, signal: Signal) -> Tensor:
        """Return embeddings (B, dim) of a signal's texts.

        Raises:
            ConfigError: The signal has no text.
        """
        out: Tensor = self.layer(mean_state(signal).to(self.layer.weight.dtype))
        return out


def mean_state(signal: Signal) -> Tensor:
    """Return the mean of the states of each text, (B, D).

    Raises:
        ConfigError: The signal has no text.
    """
    if signal.tokens is None:
        raise ConfigError("A network that is conditioned on texts needs a signal with tokens.")
    if signal.mask is None:
        return signal.tokens.mean(1)
    there = signal.mask.unsqueeze(2).to(signal.tokens.dtype)
    return (there * signal.tokens).sum(1) / there.sum(1).clamp_min(1)


class ResidualBlock(nn.Module):
    """h + W₂ silu(W₁ silu(h) + W₃ told)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.told = nn.Linear(dim, dim)
        self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        inner = self.first(nn.functional.silu(h)) + self.told(told)
        out: Tensor = h + self.second(nn.functional.silu(inner))
        return out


def check_image(shape: Sequence[int], levels: int) -> None:
    """Raise ConfigError if a U-Net with that many levels does not fit a shape."""
    if len(shape) != 3:
        raise ConfigError(
            f"network='image' is for images (C, H, W), not for examples of shape {tuple(shape)}. "
            "Use network='flat'."
        )
    multiple = 2 ** (levels - 1)
    if shape[1] % multiple or shape[2] % multiple:
        raise ConfigError(
            f"A U-Net with {levels} levels halves its images {levels - 1} times: height and width "
            f"must be multiples of {multiple}, got {shape[1]} × {shape[2]}. Give fewer channels, "
            "or use network='flat'."
        )


def norm_groups(event_shape: Sequence[int], channels: Sequence[int]) -> int:
    """Return the number of groups of a network's group normalisation, gcd(32, channels).

    If the coarsest level has one position, a group of one channel would have a single value, which
    normalisation sets to 0; then at least two channels share a group.
    """
    groups = math.gcd(32, *channels)
    positions = math.prod(max(1, size >> (len(channels) - 1)) for size in event_shape[1:])
    return max(1, groups // 2) if positions == 1 and groups == min(channels) else groups


def widest(channels: Sequence[int], shape: Sequence[int]) -> int:
    """Return the maximum number of values of a level of a U-Net for one image (C, H, W).

    >>> widest((16, 32, 56), (1, 28, 28))
    12544
    """
    return max(c * (shape[1] >> level) * (shape[2] >> level) for level, c in enumerate(channels))
