"""Normalisation of the activations of one image, independent of other images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

Normalization = Literal["instance", "layer"]

NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "instance": nn.InstanceNorm2d,
    "layer": lambda width: nn.GroupNorm(1, width, affine=False),
}
"""Normalisations by name: mean 0 and variance 1 over the pixels of each channel, or over all
channels and pixels of an image. The first loses the brightness and contrast of the image.

| Instance Normalization: The Missing Ingredient for Fast Stylization
| (Ulyanov, Vedaldi, Lempitsky, 2016)
| Layer Normalization (Ba, Kiros, Hinton, 2016)
"""
