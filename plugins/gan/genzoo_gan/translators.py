"""Networks that translate images of one domain to another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genzoo_gan.normalising import NORMALIZATIONS


class ResNetTranslator(nn.Module):
    """Convolutions that halve the image, residual blocks, and convolutions that double it.

    A 7 × 7 convolution to W channels, k halvings that each double the channels, n residual blocks
    of W 2^k channels, k doublings, a 7 × 7 convolution and tanh. Every convolution but the last is
    followed by a normalisation; borders are reflected. Weights are initialised from N(0, .02²).

    | Perceptual Losses for Real-Time Style Transfer and Super-Resolution
    | (Johnson, Alahi, Fei-Fei, 2016)

    Arguments:
        in_channels: The channels of the source images.
        out_channels: The channels of the translations.
        width: W.
        num_blocks: n.
        num_halvings: k; heights and widths must be multiples of 2^k.
        normalization: A name of ``NORMALIZATIONS``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int,
        num_blocks: int,
        num_halvings: int,
        normalization: str = "instance",
    ) -> None:
        super().__init__()
        how = normalization
        widths = [width * 2**level for level in range(num_halvings + 1)]
        layers: list[nn.Module] = [*reflected(in_channels, width, 7), *normalised(width, how)]
        for wide in widths[:-1]:
            halve = nn.Conv2d(wide, 2 * wide, 3, stride=2, padding=1, bias=False)
            layers += [halve, *normalised(2 * wide, how)]
        layers += [ResidualBlock(widths[-1], how) for _ in range(num_blocks)]
        for wide in reversed(widths[:-1]):
            double = nn.ConvTranspose2d(
                2 * wide, wide, 3, stride=2, padding=1, output_padding=1, bias=False
            )
            layers += [double, *normalised(wide, how)]
        layers += [*reflected(width, out_channels, 7, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(start_small)

    def forward(self, x: Tensor) -> Tensor:
        """Return images (B, out_channels, H, W) in [−1, 1] for images (B, in_channels, H, W)."""
        out: Tensor = self.layers(x)
        return out


class ResidualBlock(nn.Module):
    """h + two 3 × 3 convolutions of h, each normalised.

    | Deep Residual Learning for Image Recognition (He, Zhang, Ren, Sun, 2016)

    Arguments:
        width: The channels of h.
        normalization: A name of ``NORMALIZATIONS``.
    """

    def __init__(self, width: int, normalization: str = "instance") -> None:
        super().__init__()
        first = [*reflected(width, width, 3), *normalised(width, normalization)]
        second = [*reflected(width, width, 3), NORMALIZATIONS[normalization](width)]
        self.layers = nn.Sequential(*first, *second)

    def forward(self, h: Tensor) -> Tensor:
        """Return activations of the shape of ``h`` (B, width, H, W)."""
        out: Tensor = h + self.layers(h)
        return out


def reflected(channels: int, wide: int, size: int, *, bias: bool = False) -> list[nn.Module]:
    """Return a convolution of odd kernel size that keeps the image size by reflection."""
    pad = nn.ReflectionPad2d(size // 2)
    return [pad, nn.Conv2d(channels, wide, size, bias=bias)]


def normalised(width: int, normalization: str) -> list[nn.Module]:
    """Return a normalisation of ``NORMALIZATIONS`` and the activation after it."""
    return [NORMALIZATIONS[normalization](width), nn.ReLU()]


@torch.no_grad()
def start_small(module: nn.Module) -> None:
    """Initialise a convolution: weights from N(0, .02²), biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
