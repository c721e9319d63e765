"""Convolutions of an image that see the pixels above a pixel, or those to its left."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Above(nn.Conv2d):
    """A convolution over the rows above a pixel, with or without its own row.

    Arguments:
        num_inputs: The number of maps below.
        num_outputs: The number of maps.
        size: k, odd: it sees ⌊k/2⌋ rows above and as many columns on each side.
        own: Whether it sees its own row too, of features that depend on rows above alone.
    """

    def __init__(self, num_inputs: int, num_outputs: int, size: int, *, own: bool) -> None:
        self.rows, self.sides = size // 2 + own, size // 2
        super().__init__(num_inputs, num_outputs, (self.rows, size))
        self.above = size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps (B, C, H, W)."""
        # The last row is not seen by any pixel if a pixel's own row is not.
        seen = x if self.rows > self.above else x[:, :, :-1]
        return super().forward(F.pad(seen, (self.sides, self.sides, self.above, 0)))

    def of_rows(self, rows: Tensor) -> Tensor:
        """Return one row of the maps, (B, C, W), by the rows that it sees, (B, C, rows, W)."""
        return super().forward(F.pad(rows, (self.sides, self.sides)))[:, :, 0]


class Left(nn.Conv2d):
    """A convolution over the pixels to the left of a pixel, with or without itself.

    Arguments:
        num_inputs: The number of maps below.
        num_outputs: The number of maps.
        size: k, odd: it sees ⌊k/2⌋ pixels to the left.
        own: Whether it sees the pixel itself too, of features that depend on earlier ones alone.
    """

    def __init__(self, num_inputs: int, num_outputs: int, size: int, *, own: bool) -> None:
        self.left, self.seen = size // 2, size // 2 + own
        super().__init__(num_inputs, num_outputs, (1, self.seen), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps (B, C, H, W)."""
        seen = x if self.seen > self.left else x[..., :-1]
        return super().forward(F.pad(seen, (self.left, 0)))

    def columns(self) -> Tensor:
        """Return the weights as a matrix (pixels × inputs, outputs), for `Window` of pixels."""
        return self.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)


class Window:
    """The values of a row of pixels so far, with zeros to the left of the image.

    A new row overwrites the last one from the left, before anything of it is seen.

    Arguments:
        num: The number of images.
        left: How many pixels to the left are seen.
        width: The number of pixels in a row.
        size: The number of values of a pixel.
        like: A tensor of the device and dtype.
    """

    def __init__(self, num: int, left: int, width: int, size: int, like: Tensor) -> None:
        self.left = left
        self.values = like.new_zeros(num, left + width, size)

    def put(self, column: int, values: Tensor) -> None:
        """Take the values (B, C) of a pixel."""
        self.values[:, self.left + column] = values

    def before(self, column: int) -> Tensor:
        """Return the values of the pixels to the left, (B, left × C)."""
        return self.values[:, column : column + self.left].flatten(1)

    def through(self, column: int) -> Tensor:
        """Return the values of the pixels to the left and of the pixel, (B, (left + 1) C)."""
        return self.values[:, column : column + self.left + 1].flatten(1)


def with_ones(image: Tensor) -> Tensor:
    """Return an image with one more map of ones, which tells pixels from what lies outside."""
    return torch.cat([image, torch.ones_like(image[:, :1])], dim=1)
