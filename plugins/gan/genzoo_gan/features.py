"""A feature extractor of convolutions and pooling, without batch normalisation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from genzoo_gan.normalising import NORMALIZATIONS
from genzoo_gan.sizes import halved


class PooledFeatures(nn.Module):
    """A 5 × 5 convolution, layer normalisation, ReLU and 2 × 2 max pooling for each width.

    It is the extractor that Ganin et al. use for digits, plus the normalisation: without it the
    critic distinguishes the domains by the size of the features alone.

    | Domain-Adversarial Training of Neural Networks (Ganin et al., 2016)

    Arguments:
        image_shape: (C, H, W), of any size; halves are rounded up.
        hidden_dims: The channels after each pooling.

    Attributes:
        num_features: The size of the features.
        widest: The maximum number of values of a layer for one image.
    """

    def __init__(self, image_shape: Sequence[int], hidden_dims: Sequence[int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        widths = [channels, *hidden_dims]
        sizes = halved(height, width, len(hidden_dims))
        pixels = [math.prod(size) for size in [sizes[0], *sizes[:-1]]]
        self.widest = max(c * p for c, p in zip(widths, pixels, strict=True))
        smallest = sizes[-1]
        self.num_features = widths[-1] * math.prod(smallest)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            conv = nn.Conv2d(before, after, 5, padding=2)
            pool = nn.MaxPool2d(2, ceil_mode=True)
            layers += [conv, NORMALIZATIONS["layer"](after), nn.ReLU(), pool]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, num_features) of images (B, C, H, W)."""
        h: Tensor = self.layers(x)
        return h.flatten(1)


def perceptron(num_inputs: int, hidden_dims: Sequence[int], num_outputs: int) -> nn.Sequential:
    """Return fully connected layers with ReLUs between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise([num_inputs, *hidden_dims]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear([num_inputs, *hidden_dims][-1], num_outputs))
