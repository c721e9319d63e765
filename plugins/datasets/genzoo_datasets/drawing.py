"""Anti-aliased pictures of shapes, from their signed distances.

A shape is a function of points (…, 2), in units of its radius, that is negative inside and equals
the distance from the edge near it. It determines the coverage of a pixel: one half if the edge
goes through its centre.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def circle(p: Tensor) -> Tensor:
    """Return the distance to the unit circle."""
    return torch.hypot(*p.unbind(-1)) - 1


def square(p: Tensor) -> Tensor:
    """Return the distance to the square [−0.9, 0.9]²."""
    return p.abs().amax(-1) - 0.9


def triangle(p: Tensor) -> Tensor:
    """Return the distance to the triangle with a tip up and a base of 2 at the bottom."""
    x, y = p[..., 0].abs(), p[..., 1]
    slope = (2 * x - y - 1) / math.sqrt(5)  # The side from (0, −1) to (1, 1), as y grows downward.
    return torch.maximum(slope, y - 1)


def cross(p: Tensor) -> Tensor:
    """Return the distance to a cross of two bars, 2 long and 0.6 wide."""
    x, y = p.abs().unbind(-1)
    upright, lying = torch.maximum(x - 0.3, y - 1), torch.maximum(x - 1, y - 0.3)
    return torch.minimum(upright, lying)


def ring(p: Tensor) -> Tensor:
    """Return the distance to the ring between the circles of radius 0.6 and 1."""
    return (circle(p) + 0.2).abs() - 0.2


DRAWN: dict[str, Callable[[Tensor], Tensor]] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "cross": cross,
    "ring": ring,
}


def draw(shape: Tensor, radius: Tensor, middle: Tensor, side: int) -> Tensor:
    """Return the coverage of each pixel, (N, side, side), in [0, 1].

    Arguments:
        shape: Index into `DRAWN`, (N,).
        radius: In pixels, (N,).
        middle: The centre, right and down of the top left corner, in pixels, (N, 2).
        side: Height and width of the pictures.
    """
    line = torch.arange(side) + 0.5
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    p = (pixels - middle[:, None, None]) / radius[:, None, None, None]
    distance = torch.empty(len(shape), side, side)
    for k, function in enumerate(DRAWN.values()):
        distance[shape == k] = function(p[shape == k])
    return (0.5 - distance * radius[:, None, None]).clamp(0, 1)
