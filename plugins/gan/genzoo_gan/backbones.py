"""Feature extractors: the lower layers of critics, encoders and classifiers."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from genzoo_gan.init import start_small
from genzoo_gan.sizes import check_image, halved, kernel

SLOPE = 0.2
"""The slope of leaky ReLUs, whose gradient never vanishes."""


class Trunk(nn.Module, abc.ABC):
    """Abstract base class of feature extractors.

    No layer is normalised over the batch: a critic's score of one example must not depend on the
    others, or a gradient penalty would be meaningless.

    Attributes:
        num_features: The size of the features.
    """

    num_features: int

    @abc.abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, num_features) of examples (B, *event_shape)."""


class FlatTrunk(Trunk):
    """Fully connected layers with leaky ReLUs.

    Arguments:
        event_shape: The shape of one example.
        hidden_dims: The widths of the layers; without layers the features are x.
    """

    def __init__(self, event_shape: Sequence[int], hidden_dims: Sequence[int]) -> None:
        super().__init__()
        sizes = [math.prod(event_shape), *hidden_dims]
        self.num_features = sizes[-1]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, num_features) of examples (B, *event_shape)."""
        out: Tensor = self.layers(x.flatten(1))
        return out


class ConvolutionalTrunk(Trunk):
    """Convolutions that each halve the image, rounded up, with leaky ReLUs.

    | Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    | (Radford, Metz, Chintala, 2016)

    Arguments:
        event_shape: (C, H, W), of any size.
        hidden_dims: The channels after each halving.

    Raises:
        ConfigError: The examples are not images.
    """

    def __init__(self, event_shape: Sequence[int], hidden_dims: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = check_image(event_shape, "convolutional")
        *sizes, smallest = halved(height, width, len(hidden_dims))
        widths = [channels, *hidden_dims]
        self.num_features = widths[-1] * math.prod(smallest)
        layers: list[nn.Module] = []
        for (before, after), size in zip(itertools.pairwise(widths), sizes, strict=True):
            conv = nn.Conv2d(before, after, kernel(size), stride=2, padding=1)
            layers += [conv, nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers)
        self.apply(start_small)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, num_features) of images (B, C, H, W)."""
        out: Tensor = self.layers(x)
        return out.flatten(1)


class ResidualTrunk(Trunk):
    """Residual blocks that each halve the image, and the mean over the remaining pixels.

    | Improved Training of Wasserstein GANs
    | (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, 2017)

    Arguments:
        event_shape: (C, H, W), of any size.
        hidden_dims: The channels of each block.

    Raises:
        ConfigError: The examples are not images.
    """

    def __init__(self, event_shape: Sequence[int], hidden_dims: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = check_image(event_shape, "residual")
        sizes = halved(height, width, len(hidden_dims))[1:]
        widths = [channels, *hidden_dims]
        self.num_features = widths[-1]
        pairs = zip(itertools.pairwise(widths), sizes, strict=True)
        self.blocks = nn.Sequential(
            *(_HalvingBlock(before, after, size) for (before, after), size in pairs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, num_features) of images (B, C, H, W)."""
        out: Tensor = F.leaky_relu(self.blocks(x), SLOPE)
        return out.mean((2, 3))


class _HalvingBlock(nn.Module):
    """Two 3 × 3 convolutions and pooling, plus a shortcut of pooling and a 1 × 1 convolution."""

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(before, after, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(after, after, 3, padding=1),
            nn.AdaptiveAvgPool2d(size),
        )
        self.shortcut = nn.Sequential(nn.AdaptiveAvgPool2d(size), nn.Conv2d(before, after, 1))

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.layers(h) + self.shortcut(h)
        return out


TRUNKS: dict[str, type[FlatTrunk | ConvolutionalTrunk | ResidualTrunk]] = {
    "flat": FlatTrunk,
    "convolutional": ConvolutionalTrunk,
    "residual": ResidualTrunk,
}
