"""Generator networks, from codes to examples: fully connected, convolutional, residual."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from genzoo_gan.init import start_small
from genzoo_gan.sizes import check_image, halved, kernel

Sizes = Sequence[int]


class FlatGenerator(nn.Module):
    """Fully connected layers.

    Arguments:
        num_inputs: The size of a code, including its condition.
        hidden_dims: The widths of the hidden layers, from the code to the example.
        output_shape: The shape of an example.
        batch_norm: Whether the hidden layers are normalised over the batch.

    Attributes:
        widest: The maximum number of values of a layer for one code.
    """

    def __init__(
        self, num_inputs: int, hidden_dims: Sizes, output_shape: Sizes, batch_norm: bool
    ) -> None:
        super().__init__()
        self.output_shape = tuple(output_shape)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise([num_inputs, *hidden_dims]):
            norm = [nn.BatchNorm1d(after)] if batch_norm else []
            layers += [nn.Linear(before, after), *norm, nn.ReLU()]
        last = [num_inputs, *hidden_dims][-1]
        self.widest = max(num_inputs, *hidden_dims, math.prod(output_shape))
        self.layers = nn.Sequential(*layers, nn.Linear(last, math.prod(output_shape)))

    def forward(self, z: Tensor) -> Tensor:
        """Return (B, *output_shape) for codes (B, num_inputs)."""
        out: Tensor = self.layers(z)
        return out.view(-1, *self.output_shape)


class GrowingGenerator(nn.Module):
    """Abstract base class: a linear layer to a small image, whose sides are then doubled.

    Arguments:
        num_inputs: The size of a code, including its condition.
        widths: The channels at each size.
        sizes: The heights and widths of the images, from the smallest.

    Attributes:
        widest: The maximum number of values of a layer for one code.
    """

    def __init__(
        self, num_inputs: int, widths: Sequence[int], sizes: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__()
        self.widest = max(c * math.prod(s) for c, s in zip(widths, sizes, strict=True))
        self.start = (widths[0], *sizes[0])
        self.input = nn.Linear(num_inputs, math.prod(self.start))

    def small(self, z: Tensor) -> Tensor:
        """Return the small image (B, widths[0], *sizes[0]) for codes (B, num_inputs)."""
        h: Tensor = self.input(z).view(-1, *self.start)
        return h


class ConvolutionalGenerator(GrowingGenerator):
    """A linear layer to a small image, and transposed convolutions that double its sides.

    Kernels are 4 × 4 with stride 2, and 3 along a side of odd size, so that any size is possible.
    Weights are initialised from N(0, .02²).

    | Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    | (Radford, Metz, Chintala, 2016)

    Arguments:
        num_inputs: The size of a code, including its condition.
        hidden_dims: The channels before each doubling, from the code to the image.
        output_shape: (C, H, W), of any size.
        batch_norm: Whether the hidden layers are normalised over the batch.

    Attributes:
        widest: The maximum number of values of a layer for one code.

    Raises:
        ConfigError: The examples are not images.
    """

    def __init__(
        self, num_inputs: int, hidden_dims: Sizes, output_shape: Sizes, batch_norm: bool
    ) -> None:
        channels, height, width = check_image(output_shape, "convolutional")
        widths, sizes = [*hidden_dims, channels], halved(height, width, len(hidden_dims))[::-1]
        super().__init__(num_inputs, widths, sizes)
        layers: list[nn.Module] = []
        for (before, after), size in zip(itertools.pairwise(widths), sizes[1:], strict=True):
            layers += _activated(before, batch_norm)
            layers.append(nn.ConvTranspose2d(before, after, kernel(size), stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        self.apply(start_small)

    def forward(self, z: Tensor) -> Tensor:
        """Return (B, C, H, W) for codes (B, num_inputs)."""
        out: Tensor = self.layers(self.small(z))
        return out


class ResidualGenerator(GrowingGenerator):
    """A linear layer to a small image, and residual blocks that double its sides.

    | Improved Training of Wasserstein GANs
    | (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017)

    Arguments:
        num_inputs: The size of a code, including its condition.
        hidden_dims: The channels of each block, from the code to the image.
        output_shape: (C, H, W), of any size.
        batch_norm: Whether the blocks are normalised over the batch.

    Attributes:
        widest: The maximum number of values of a layer for one code.

    Raises:
        ConfigError: The examples are not images.
    """

    def __init__(
        self, num_inputs: int, hidden_dims: Sizes, output_shape: Sizes, batch_norm: bool
    ) -> None:
        channels, height, width = check_image(output_shape, "residual")
        sizes = halved(height, width, len(hidden_dims))[::-1]
        widths = [[*hidden_dims, channels][0], *hidden_dims]
        super().__init__(num_inputs, widths, sizes)
        pairs = zip(itertools.pairwise(widths), sizes[1:], strict=True)
        self.blocks = nn.Sequential(
            *(_DoublingBlock(before, after, size, batch_norm) for (before, after), size in pairs)
        )
        last = nn.Conv2d(widths[-1], channels, 3, padding=1)
        self.output = nn.Sequential(*_activated(widths[-1], batch_norm), last)

    def forward(self, z: Tensor) -> Tensor:
        """Return (B, C, H, W) for codes (B, num_inputs)."""
        out: Tensor = self.output(self.blocks(self.small(z)))
        return out


class _DoublingBlock(nn.Module):
    """Two 3 × 3 convolutions at the doubled size, plus a shortcut with a 1 × 1 convolution."""

    def __init__(self, before: int, after: int, size: tuple[int, int], batch_norm: bool) -> None:
        super().__init__()
        self.size = size
        self.before = nn.Sequential(*_activated(before, batch_norm))
        self.after = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1),
            *_activated(after, batch_norm),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, h: Tensor) -> Tensor:
        deep = self.after(F.interpolate(self.before(h), size=self.size))
        out: Tensor = deep + F.interpolate(self.shortcut(h), size=self.size)
        return out


def _activated(channels: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()] if batch_norm else [nn.ReLU()]


GENERATORS: dict[str, type[FlatGenerator | ConvolutionalGenerator | ResidualGenerator]] = {
    "flat": FlatGenerator,
    "convolutional": ConvolutionalGenerator,
    "residual": ResidualGenerator,
}
