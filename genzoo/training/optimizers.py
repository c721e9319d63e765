"""Optimisers: what updates a player's parameters, by name and values."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import nn

from genzoo.component import Configured
from genzoo.config import Bounds, Config

Share = Annotated[float, Bounds(0.0, 1.0)]


class Optimizer(Configured):
    """Makes an optimiser of PyTorch for the parameters of one player; abstract.

    An objective names one for each of its players, the user another one or other values.
    """

    @abc.abstractmethod
    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``, at the learning rate before warm-up."""


def decayed(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[Any]:
    """Return parameters for PyTorch, of which only matrices and higher tensors are decayed.

    Arguments:
        parameters: The parameters.
        weight_decay: The decay; 0 makes no groups.
    """
    if not weight_decay:
        return list(parameters)
    # Not biases and scales: a penalty on them gains nothing, and moves what normalises.
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


@dataclass(frozen=True, kw_only=True)
class SGDConfig(Config):
    """Stochastic gradient descent."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate, before warm-up and schedule."""
    momentum: Share = 0.0
    """The momentum."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay, of matrices and higher tensors alone."""


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    | A Stochastic Approximation Method (Robbins, Monro, 1951)
    """

    Config = SGDConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``."""
        c = self.config
        return torch.optim.SGD(decayed(parameters, c.weight_decay), lr=c.lr, momentum=c.momentum)


@dataclass(frozen=True, kw_only=True)
class AdamConfig(Config):
    """Adam."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate, before warm-up and schedule."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """The decay rates of the means of gradients and of their squares."""
    eps: Share = 1e-8
    """What is added to the denominator."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight of half the squared norm in the loss, of matrices and higher tensors alone."""


class Adam(Optimizer):
    """Adam: gradients averaged, and divided by the root of their average square.

    | Adam: A Method for Stochastic Optimization (Kingma, Ba, 2015)
    """

    Config = AdamConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``."""
        c = self.config
        # One kernel over all parameters: on a CPU a tenth of the time of torch's default, which
        # goes through them one operation at a time. Stochastic gradient descent gains nothing.
        return torch.optim.Adam(
            decayed(parameters, c.weight_decay), lr=c.lr, betas=c.betas, eps=c.eps, fused=True
        )


@dataclass(frozen=True, kw_only=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay."""

    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 1e-2
    """The share of a weight that an update at the rate 1 takes away, of matrices alone."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    | Decoupled Weight Decay Regularization (Loshchilov, Hutter, 2019)
    """

    Config = AdamWConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``."""
        c = self.config
        groups = decayed(parameters, c.weight_decay)
        # Without groups PyTorch would decay all of them, by a default of its own.
        return torch.optim.AdamW(
            groups, lr=c.lr, betas=c.betas, eps=c.eps, weight_decay=0.0, fused=True
        )


@dataclass(frozen=True, kw_only=True)
class RMSpropConfig(Config):
    """RMSprop."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate, before warm-up and schedule."""
    momentum: Share = 0.0
    """The momentum."""
    eps: Share = 1e-8
    """What is added to the denominator."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay, of matrices and higher tensors alone."""


class RMSprop(Optimizer):
    """RMSprop: gradients divided by a moving average of their size.

    | Neural Networks for Machine Learning, lecture 6 (Hinton, Srivastava, Swersky, 2012)
    """

    Config = RMSpropConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over ``parameters``."""
        c = self.config
        return torch.optim.RMSprop(
            decayed(parameters, c.weight_decay), lr=c.lr, momentum=c.momentum, eps=c.eps
        )
