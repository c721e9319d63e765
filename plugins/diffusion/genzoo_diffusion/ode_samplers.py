"""Solvers with given steps of the differential equations that carry noise to data."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from genzoo_diffusion.coordinates import check_continuous, coordinates
from genzoo_diffusion.denoise import ReverseSteps, Steps, StepsConfig
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.levels import Level, Predictor


class Euler(ReverseSteps[StepsConfig]):
    """Euler's method, y' = y + (τ' − τ) f(y, τ), of first order.

    `coordinates` says what y, τ and f are: for a diffusion x / a, s / a and ε̂; for a flow x, t and
    the velocity. The network runs once a step.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)
    """

    Config = StepsConfig

    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return the states after a step along the slope at its beginning."""
        ode = coordinates(predictor)
        y, h = ode.enter(x, now), ode.tau(after) - ode.tau(now)
        return ode.leave(y + h * ode.slope(y, now), after)


@dataclass(frozen=True, kw_only=True)
class HeunConfig(StepsConfig):
    """Heun's method."""

    num_inference_steps: Steps = 25
    """The number of steps, at most T for a model of T times; each but the last runs the network
    twice."""


class Heun(ReverseSteps[HeunConfig]):
    """Heun's method, of second order: the mean of the slopes at both ends of an Euler step.

        k₁ = f(y, τ),  k₂ = f(y + h k₁, τ'),  y' = y + h (k₁ + k₂) / 2,  h = τ' − τ.

    y, τ and f are those of `Euler`. The last step is one of Euler's method, since networks are not
    trained where no noise is left. So the network runs 2 S − 1 times for S steps.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022), algorithm 1
    """

    Config = HeunConfig

    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return the states after a step along the mean of two slopes."""
        ode = coordinates(predictor)
        y, h = ode.enter(x, now), ode.tau(after) - ode.tau(now)
        slope = ode.slope(y, now)
        if after.s > 0:
            slope = (slope + ode.slope(y + h * slope, after)) / 2
        return ode.leave(y + h * slope, after)


@dataclass(frozen=True, kw_only=True)
class MidpointConfig(StepsConfig):
    """The midpoint method."""

    num_inference_steps: Steps = 25
    """The number of steps, each of which runs the network twice."""


class Midpoint(ReverseSteps[MidpointConfig]):
    """The midpoint method, of second order: the slope in the middle of an Euler step.

        k = f(y + h/2 f(y, τ), τ + h/2),  y' = y + h k,  h = τ' − τ.

    It is for flows, whose network can be asked at any time, and does not ask it where no noise is
    left. The network runs twice a step.

    | Solving Ordinary Differential Equations I (Hairer, Nørsett, Wanner, 1993), section II.1
    """

    Config = MidpointConfig

    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the levels of the visited times, and of the data.

        Raises:
            CapabilityError: The model has T times.
            ConfigError: The config does not fit the model's times.
        """
        check_continuous(model, type(self).__name__)
        return super().levels(model)

    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return the states after a step along the slope in its middle."""
        ode = coordinates(predictor)
        y, tau = ode.enter(x, now), ode.tau(now)
        h = ode.tau(after) - tau
        middle = y + h / 2 * ode.slope(y, now)
        return ode.leave(y + h * ode.slope(middle, ode.level(tau + h / 2)), after)
