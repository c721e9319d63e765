"""Sizes of images that are halved and doubled."""

from __future__ import annotations

from collections.abc import Sequence

from genzoo.plugin import ConfigError


def check_image(shape: Sequence[int], network: str) -> tuple[int, int, int]:
    """Return (C, H, W).

    Raises:
        ConfigError: The examples are not images.
    """
    if len(shape) != 3:
        raise ConfigError(
            f"network={network!r} is for images (C, H, W), not for examples of shape "
            f"{tuple(shape)}. Use network='flat'."
        )
    channels, height, width = shape
    return channels, height, width


def halved(height: int, width: int, times: int) -> list[tuple[int, int]]:
    """Return the sizes of an image that is halved again and again, rounded up.

    >>> halved(14, 28, 2)
    [(14, 28), (7, 14), (4, 7)]
    """
    sizes = [(height, width)]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def kernel(larger: tuple[int, int]) -> tuple[int, int]:
    """Return the kernel size that halves or doubles a size with stride 2 and padding 1.

    It is 4 for an even size, as in the paper, and 3 for an odd one.
    """
    return (4 - larger[0] % 2, 4 - larger[1] % 2)
