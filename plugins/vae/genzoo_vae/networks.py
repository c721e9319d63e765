"""Encoders and decoders: for flat data, and for images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import ConfigError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
}


class FlatEncoder(nn.Module):
    """Fully connected layers from examples and conditions to outputs.

    Arguments:
        event_shape: The shape of one example.
        hidden_dims: The widths of the hidden layers; without any, the map is affine.
        num_conditions: The size of the condition's vector.
        num_outputs: The size of the output.
        activation: One of ``ACTIVATIONS``.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int],
        num_conditions: int,
        num_outputs: int,
        activation: str,
    ) -> None:
        super().__init__()
        sizes = [math.prod(event_shape) + num_conditions, *hidden_dims]
        self.hidden = hidden_layers(sizes, activation)
        self.output = nn.Linear(sizes[-1], num_outputs)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return (B, num_outputs) for examples (B, *event_shape) and conditions (B, C)."""
        out: Tensor = self.output(self.hidden(with_condition(x.flatten(1), y)))
        return out


class FlatDecoder(nn.Module):
    """Fully connected layers from codes and conditions to data.

    Arguments:
        latent_dim: The size of a code.
        hidden_dims: The widths of the hidden layers; the last one is nearest to the code.
        num_conditions: The size of the condition's vector.
        output_shape: The shape of the output for one code.
        activation: One of ``ACTIVATIONS``.

    Attributes:
        widest: The maximum number of values of a layer for one code.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden_dims: Sequence[int],
        num_conditions: int,
        output_shape: Sequence[int],
        activation: str,
    ) -> None:
        super().__init__()
        sizes = [latent_dim + num_conditions, *reversed(hidden_dims)]
        self.output_shape = tuple(output_shape)
        self.widest = max(*sizes, math.prod(output_shape))
        self.hidden = hidden_layers(sizes, activation)
        self.output = nn.Linear(sizes[-1], math.prod(output_shape))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return (B, *output_shape) for codes (B, latent_dim) and conditions (B, C)."""
        out: Tensor = self.output(self.hidden(with_condition(z, y)))
        return out.view(-1, *self.output_shape)

    @torch.no_grad()
    def start_from(self, location: Tensor) -> None:
        """Initialise the output offset to ``location``, (*output_shape)."""
        self.output.bias.copy_(location.flatten())


class ImageEncoder(nn.Module):
    """Convolutions that each halve the image, then one affine layer.

    Arguments:
        event_shape: (C, H, W), of any size.
        hidden_dims: The channels of each convolution.
        num_conditions: The size of the condition's vector, which is concatenated after the
            convolutions.
        num_outputs: The size of the output.
        activation: One of ``ACTIVATIONS``.

    Raises:
        ConfigError: The examples are not images.
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        hidden_dims: Sequence[int],
        num_conditions: int,
        num_outputs: int,
        activation: str,
    ) -> None:
        super().__init__()
        channels, *_ = _check_image(event_shape)
        sizes = halved(event_shape, len(hidden_dims))
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([channels, *hidden_dims]):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), ACTIVATIONS[activation]()]
        self.hidden = nn.Sequential(*layers)
        last = [channels, *hidden_dims][-1] * math.prod(sizes[-1])
        self.output = nn.Linear(last + num_conditions, num_outputs)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return (B, num_outputs) for images (B, C, H, W) and conditions (B, C)."""
        out: Tensor = self.output(with_condition(self.hidden(x).flatten(1), y))
        return out


class ImageDecoder(nn.Module):
    """One affine layer, convolutions that each double the image, and an offset.

    Pixels are doubled and then convolved, because a transposed convolution leaves a checkerboard
    pattern.

    | Deconvolution and Checkerboard Artifacts (Odena, Dumoulin, Olah, 2016)

    Arguments:
        latent_dim: The size of a code.
        hidden_dims: The channels of each convolution; the last one is nearest to the code.
        num_conditions: The size of the condition's vector.
        output_shape: (C, H, W), of any size.
        activation: One of ``ACTIVATIONS``.

    Attributes:
        widest: The maximum number of values of a layer for one code.

    Raises:
        ConfigError: The data are not images.
    """

    def __init__(
        self,
        latent_dim: int,
        hidden_dims: Sequence[int],
        num_conditions: int,
        output_shape: Sequence[int],
        activation: str,
    ) -> None:
        super().__init__()
        channels, *_ = _check_image(output_shape)
        *self.sizes, smallest = halved(output_shape, len(hidden_dims))
        widths = [*reversed(hidden_dims), channels]
        pixels = [math.prod(size) for size in [*reversed(self.sizes), output_shape[1:]]]
        self.widest = max(c * p for c, p in zip(widths, pixels, strict=True))
        self.start = (widths[0], *smallest)
        self.input = nn.Linear(latent_dim + num_conditions, math.prod(self.start))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.offset = nn.Parameter(torch.zeros(tuple(output_shape)))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return (B, C, H, W) for codes (B, latent_dim) and conditions (B, C)."""
        h: Tensor = self.input(with_condition(z, y)).view(-1, *self.start)
        for size, convolution in zip(reversed(self.sizes), self.convolutions, strict=True):
            h = convolution(F.interpolate(self.activation(h), size=size))
        return h + self.offset

    @torch.no_grad()
    def start_from(self, location: Tensor) -> None:
        """Initialise the output offset to ``location``, (*output_shape)."""
        self.offset.copy_(location)


def hidden_layers(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Return affine layers between the ``sizes``, each followed by the activation."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def with_condition(h: Tensor, y: Tensor | None) -> Tensor:
    """Concatenate conditions (B, C) and rows (B, D); None leaves the rows unchanged."""
    return h if y is None else torch.cat([h, y], dim=1)


def halved(shape: Sequence[int], times: int) -> list[tuple[int, int]]:
    """Return the heights and widths of an image (C, H, W) halved repeatedly, rounded up."""
    sizes = [(shape[1], shape[2])]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def _check_image(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ConfigError(
            f"network='image' is for images (C, H, W), not for examples of shape {tuple(shape)}. "
            "Use network='flat'."
        )
    channels, height, width = shape
    return channels, height, width
