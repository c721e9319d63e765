"""A patch critic, which scores every part of an image."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from genzoo.plugin import ConfigError
from genzoo_gan.normalising import NORMALIZATIONS
from genzoo_gan.translators import start_small

_LEAST = 4
_PAPER = 3


class PatchCritic(nn.Module):
    """Scores of overlapping patches, by convolutions alone.

    4 × 4 convolutions: n with stride 2 and W, 2W, 4W … channels, one with stride 1, and one to a
    single channel, with leaky ReLUs of slope .2; the first and the last are not normalised. With n
    = 3 the receptive field of a score is 70 × 70 pixels.

    | Image-to-Image Translation with Conditional Adversarial Networks
    | (Isola, Zhu, Zhou, Efros, 2017)

    Arguments:
        event_shape: The shape of an image, (C, H, W).
        width: W.
        num_halvings: n; None means 3, or as many as leave 4 pixels per side.
        normalization: A name of ``NORMALIZATIONS``.

    Raises:
        ConfigError: The images are too small for that many.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        width: int,
        num_halvings: int | None = None,
        normalization: str = "instance",
    ) -> None:
        super().__init__()
        channels, *sides = event_shape
        n = possible(min(sides)) if num_halvings is None else num_halvings
        _check(min(sides), n)
        widths = [width * min(2**level, 8) for level in range(n + 1)]
        layers: list[nn.Module] = [_convolution(channels, width, 2 if n else 1), nn.LeakyReLU(0.2)]
        for level, (before, after) in enumerate(itertools.pairwise(widths), 1):
            conv = _convolution(before, after, 2 if level < n else 1, bias=False)
            layers += [conv, NORMALIZATIONS[normalization](after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, _convolution(widths[-1], 1, 1))
        self.apply(start_small)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of the patches, (B, 1, h, w), of images (B, C, H, W) in [−1, 1]."""
        out: Tensor = self.layers(x)
        return out


def possible(side: int) -> int:
    """Return how often a side can be halved until 4 pixels are left, at most 3 times."""
    times = 0
    while times < _PAPER and side // 2 >= _LEAST:
        side, times = side // 2, times + 1
    return times


def _check(side: int, n: int) -> None:
    """Refuse sizes that leave a single pixel, which cannot be normalised."""
    left = side
    for _ in range(n):
        left //= 2
    if left < _LEAST - 1 or (n == 0 and left < _LEAST):
        raise ConfigError(
            f"A critic with {n} halvings leaves {left} of {side} pixels per side; 3 are needed, "
            f"and 4 of an image. Give --objective.critic-halvings {possible(side)}, or "
            "larger images."
        )


def _convolution(channels: int, wide: int, stride: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels, wide, 4, stride=stride, padding=1, bias=bias)
