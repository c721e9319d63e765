"""Noise between the layers of a network that learns from few labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    """h + σ ε, ε ~ N(0, I), in training; h otherwise.

    The noise comes from torch's default generator, as in dropout.

    Arguments:
        sigma: σ.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, h: Tensor) -> Tensor:
        """Return activations of the shape of ``h``."""
        return h + self.sigma * torch.randn_like(h) if self.training else h

    def extra_repr(self) -> str:
        """Return σ for repr."""
        return f"sigma={self.sigma}"


def noisy(network: nn.Module, sigma: float) -> nn.Module:
    """Put noise in front of every affine layer and convolution of a network.

    | Improved Techniques for Training GANs
    | (Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, 2016)
    """
    for name, child in list(network.named_children()):
        if isinstance(child, (nn.Linear, nn.Conv2d)):
            network.set_submodule(name, nn.Sequential(GaussianNoise(sigma), child))
        else:
            noisy(child, sigma)
    return network
