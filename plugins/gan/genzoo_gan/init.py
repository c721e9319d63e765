"""Initialisation of weights."""

from __future__ import annotations

import torch
from torch import nn

STD = 0.02


@torch.no_grad()
def start_small(module: nn.Module) -> None:
    """Initialise a convolution or a linear layer: weights from N(0, .02²), biases 0.

    | Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks
    | (Radford, Metz, Chintala, 2016)
    """
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, std=STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
