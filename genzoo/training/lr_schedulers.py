"""Learning-rate schedules: the factor of the learning rate at each update."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import Annotated

from genzoo.component import Configured
from genzoo.config import Bounds, C, Config, NoFields


class LRScheduler(Configured[C]):
    """Abstract base class: the factor of the learning rate at each update, including warm-up."""

    @abc.abstractmethod
    def factor(self, step: int, total: int, warmup: int) -> float:
        """Return the factor of the learning rate.

        Arguments:
            step: The number of updates made before, from 0 to ``total``.
            total: The updates of the stage.
            warmup: The updates of warm-up.
        """


class AfterWarmup(LRScheduler[C], abc.ABC):
    """Abstract base class: rises linearly over the warm-up, then follows a curve."""

    def factor(self, step: int, total: int, warmup: int) -> float:
        """Return (step + 1) / warmup, then the curve's value."""
        if step < warmup:
            return (step + 1) / warmup
        return self.curve(min(1.0, (step - warmup) / max(1, total - warmup)))

    @abc.abstractmethod
    def curve(self, done: float) -> float:
        """Return the factor after the share ``done`` of the updates after warm-up."""


class Constant(AfterWarmup[NoFields]):
    """A constant learning rate after warm-up."""

    Config = NoFields

    def curve(self, done: float) -> float:
        """Return 1."""
        return 1.0


class Linear(AfterWarmup[NoFields]):
    """Falls linearly to zero after warm-up."""

    Config = NoFields

    def curve(self, done: float) -> float:
        """Return 1 − done."""
        return 1 - done


@dataclass(frozen=True, kw_only=True)
class ConstantThenLinearConfig(Config):
    """A learning rate that is constant at first, then falls linearly."""

    constant_share: Annotated[float, Bounds(0.0, 0.999)] = 0.5
    """The share of the updates after warm-up in which the rate is constant."""


class ConstantThenLinear(AfterWarmup[ConstantThenLinearConfig]):
    """Constant after warm-up, then falls linearly to zero; by default in the second half.

    | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks (Zhu, Park,
    | Isola, Efros, 2017)
    """

    Config = ConstantThenLinearConfig

    def curve(self, done: float) -> float:
        """Return min(1, (1 − done) / (1 − constant_share))."""
        share: float = self.config.constant_share
        return min(1.0, (1 - done) / (1 - share))


class Cosine(AfterWarmup[NoFields]):
    """Falls to zero as half a period of a cosine after warm-up.

    | SGDR: Stochastic Gradient Descent with Warm Restarts (Loshchilov, Hutter, 2017)
    """

    Config = NoFields

    def curve(self, done: float) -> float:
        """Return (1 + cos(π done)) / 2."""
        return 0.5 * (1 + math.cos(math.pi * done))
