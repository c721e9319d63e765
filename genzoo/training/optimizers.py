"""Optimisers by name and values."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import nn

from genzoo.component import Configured
from genzoo.config import Bounds, C, Config

Share = Annotated[float, Bounds(0.0, 1.0)]


class Optimizer(Configured[C]):
    """Abstract base class: makes an optimiser of PyTorch for the parameters of one player.

    An objective names one for each of its players; the user can choose another one or other
    values.

    Class attributes:
        elementwise: Whether each number of a parameter is updated by its own gradient alone, as
            by Adam. If not, it needs whole parameters, and `TrainerConfig.shard` is refused.
    """

    elementwise: ClassVar[bool] = True

    @abc.abstractmethod
    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of ``parameters``, at the learning rate before warm-up."""


def decayed(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[Any]:
    """Return parameter groups for PyTorch, with weight decay for matrices and higher tensors only.

    Arguments:
        parameters: The parameters.
        weight_decay: The decay; 0 makes no groups.
    """
    if not weight_decay:
        return list(parameters)
    # Not biases and scales: a penalty on them does not help, and shifts normalisation layers.
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """Abstract base class of the configs of optimisers."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate, before warm-up and schedule."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay, for matrices and higher tensors only."""


@dataclass(frozen=True, kw_only=True)
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent."""

    momentum: Share = 0.0
    """The momentum."""


class SGD(Optimizer[SGDConfig]):
    """Stochastic gradient descent, with momentum.

    | A Stochastic Approximation Method (Robbins, Monro, 1951)
    """

    Config = SGDConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        c = self.config
        groups = decayed(parameters, c.weight_decay)
        # What torch chooses on a CPU, too; it looks at each step, for as long as the step takes.
        foreach = False if parameters[0].device.type == "cpu" else None
        return torch.optim.SGD(groups, lr=c.lr, momentum=c.momentum, foreach=foreach)


@dataclass(frozen=True, kw_only=True)
class AdamConfig(OptimizerConfig):
    """Adam."""

    betas: tuple[Share, Share] = (0.9, 0.999)
    """The decay rates of the means of gradients and of their squares."""
    eps: Share = 1e-8
    """The constant that is added to the denominator."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight of half the squared norm in the loss, for matrices and higher tensors only."""


class Adam(Optimizer[AdamConfig]):
    """Adam: gradients averaged, and divided by the root of their average square.

    | Adam: A Method for Stochastic Optimization (Kingma, Ba, 2015)
    """

    Config = AdamConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        c = self.config
        # One kernel for all parameters: on a CPU it takes a tenth of the time of torch's default,
        # which runs one operation at a time. SGD does not gain.
        return torch.optim.Adam(
            decayed(parameters, c.weight_decay), lr=c.lr, betas=c.betas, eps=c.eps, fused=True
        )


@dataclass(frozen=True, kw_only=True)
class AdamWConfig(AdamConfig):
    """Adam with decoupled weight decay."""

    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 1e-2
    """The share by which an update at learning rate 1 shrinks a weight, for matrices only."""


class AdamW(Optimizer[AdamWConfig]):
    """Adam with decoupled weight decay.

    | Decoupled Weight Decay Regularization (Loshchilov, Hutter, 2019)
    """

    Config = AdamWConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        c = self.config
        groups = decayed(parameters, c.weight_decay)
        # Without groups, PyTorch would decay all parameters with its own default.
        return torch.optim.AdamW(
            groups, lr=c.lr, betas=c.betas, eps=c.eps, weight_decay=0.0, fused=True
        )


@dataclass(frozen=True, kw_only=True)
class RMSpropConfig(OptimizerConfig):
    """RMSprop."""

    momentum: Share = 0.0
    """The momentum."""
    eps: Share = 1e-8
    """The constant that is added to the denominator."""


class RMSprop(Optimizer[RMSpropConfig]):
    """RMSprop: gradients divided by a moving average of their size.

    | Neural Networks for Machine Learning, lecture 6 (Hinton, Srivastava, Swersky, 2012)
    """

    Config = RMSpropConfig

    def build(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        c = self.config
        return torch.optim.RMSprop(
            decayed(parameters, c.weight_decay), lr=c.lr, momentum=c.momentum, eps=c.eps
        )
