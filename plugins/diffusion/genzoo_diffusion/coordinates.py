"""Coordinates of the differential equations that carry noise to data."""

from __future__ import annotations

import abc
import math

from torch import Tensor

from genzoo.plugin import CapabilityError
from genzoo_diffusion.flow import Flow
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.levels import Level, Predictor, levels_at

_LEAST = 2.0**-12
"""The value that takes the place of a smaller a, as in diffusers, where ᾱ is at least 2⁻²⁴."""


class Coordinates(abc.ABC):
    """Abstract base class of coordinates y(x, τ) in which dy/dτ = f(y, τ), for one trajectory.

    Arguments:
        predictor: The predictions.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @abc.abstractmethod
    def tau(self, level: Level) -> float:
        """Return τ of a level; 0 for the data."""

    def level(self, tau: float) -> Level:
        """Return the level of a value of τ, in continuous time, where τ is t."""
        return levels_at(self.predictor.model, [tau])[0]

    @abc.abstractmethod
    def enter(self, x: Tensor, level: Level) -> Tensor:
        """Return y of states x at a level."""

    @abc.abstractmethod
    def leave(self, y: Tensor, level: Level) -> Tensor:
        """Return the states of y at a level."""

    @abc.abstractmethod
    def slope(self, y: Tensor, level: Level) -> Tensor:
        """Return dy/dτ; the network runs once."""


class Scaled(Coordinates):
    """y = x / a = x_0 + τ ε and τ = s / a, so that dy/dτ = ε̂.

    The equation is that of the probability flow of any path. It has no y where a = 0, as at the
    last time of the zero-terminal-snr schedule; there, a is taken to be 2⁻¹².

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)
    """

    def tau(self, level: Level) -> float:
        """Return s / a."""
        _, a, s = _regular(level)
        return s / a

    def enter(self, x: Tensor, level: Level) -> Tensor:
        """Return x / a."""
        return x / _regular(level).a

    def leave(self, y: Tensor, level: Level) -> Tensor:
        """Return a y."""
        return y * _regular(level).a

    def slope(self, y: Tensor, level: Level) -> Tensor:
        """Return ε̂."""
        _, a, s = _regular(level)
        x = y * a
        output = self.predictor.output(x, level)
        return self.predictor.model.parameterization.epsilon(output, x, a, s)


class Straight(Coordinates):
    """y = x and τ = t, so that dy/dτ is the velocity of a flow, its network's prediction.

    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023)
    """

    def tau(self, level: Level) -> float:
        """Return t, which is s."""
        return level.s

    def enter(self, x: Tensor, level: Level) -> Tensor:
        """Return x."""
        return x

    def leave(self, y: Tensor, level: Level) -> Tensor:
        """Return y."""
        return y

    def slope(self, y: Tensor, level: Level) -> Tensor:
        """Return the velocity."""
        return self.predictor.output(y, level)


def coordinates(predictor: Predictor) -> Coordinates:
    """Return the coordinates that suit a model."""
    return (Straight if isinstance(predictor.model, Flow) else Scaled)(predictor)


def check_continuous(model: GaussianPath, sampler: str) -> None:
    """Check that a model can be asked at any time.

    Raises:
        CapabilityError: It has T times.
    """
    if model.num_times is not None:
        raise CapabilityError(
            f"{sampler} needs a model of continuous time, such as a flow; {type(model).__name__} "
            f"has {model.num_times} times and no others between them. Use --sampler heun."
        )


def _regular(level: Level) -> Level:
    """Return a level from whose states x / a can be computed."""
    if level.a >= _LEAST:
        return level
    return Level(level.t, _LEAST, math.sqrt(1 - _LEAST**2))
