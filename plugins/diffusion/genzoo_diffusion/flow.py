"""The base class of rectified flows: a velocity that carries noise to data."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import Bounds, Component, ConfigError, Stage
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.config import StatesConfig
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.grid import Spacing
from genzoo_diffusion.parameterization import FlowVelocity
from genzoo_diffusion.suiting import matching, suited_network

_LEAST_TIME = 0.05
"""The least divisor of x_t − x̂_0, which would else grow without bound as t → 0."""


@dataclass(frozen=True, kw_only=True)
class FlowConfig(StatesConfig):
    """Abstract base class of configs of a flow over states of some shape."""

    num_train_timesteps: Annotated[int, Bounds(1, 10**5)] = 1000
    """The factor of the time t ∈ [0, 1] that the network sees, as in diffusers; time is
    continuous."""
    feature_scale: Annotated[float, Bounds(0.0, 1e6)] = 2.0
    """The standard deviation of the frequencies of the state's Fourier features, in cycles per
    unit of the data: near the data a velocity changes within the width of a mode."""
    prediction_type: Literal["flow_prediction", "sample"] = "flow_prediction"
    """The output of the network: the velocity, or x₀, which implies it."""


class Flow(GaussianPath, abc.ABC):
    """Abstract base class of rectified flows, dx_t / dt = u(x_t, t) from t = 1 to t = 0.

    States are x_t = (1 − t) x_0 + t ε. The prediction is E[ε − x_0 | x_t], the mean velocity of
    the lines through x_t. The differential equation with this velocity carries N(0, I) at t = 1 to
    the data at t = 0. A network that returns x̂_0 has the velocity (x_t − x̂_0) / max(t, 0.05).

    | Flow Matching for Generative Modeling (Lipman, Chen, Ben-Hamu, Nickel, Le, 2023)
    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023)
    | Back to Basics: Let Denoising Generative Models Denoise (Li, He, 2025), for x̂_0

    Arguments:
        config: Network and conditions.
        state_shape: The shape of a state.
    """

    config: FlowConfig

    def __init__(self, config: FlowConfig, state_shape: tuple[int, ...]) -> None:
        super().__init__(config, state_shape)
        self.parameterization = FlowVelocity()

    @classmethod
    def suited(cls, shape: Sequence[int], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields of the config that fit states of a shape; see `suiting.suited`."""
        fields = suited_network(shape, given)
        if fields.get("network") == "flat" and "prediction_type" not in given:
            fields["prediction_type"] = "sample"
        return fields

    @classmethod
    def default_stages(cls, config: Any) -> tuple[Stage, ...]:
        """Return training by flow matching, with averaged weights; see `suiting.matching`."""
        return (matching(config),)

    @classmethod
    def default_sampler(cls, config: FlowConfig) -> Component:
        """Return the midpoint method, which does not ask the network where no noise is left."""
        return Component(name="midpoint")

    @classmethod
    def preview_sampler(cls, config: FlowConfig) -> Component:
        """Return the midpoint method with few steps."""
        return Component(name="midpoint", config={"num_inference_steps": 10})

    def training_state(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return states without noise of data for training, which may be drawn around them."""
        return self.state(x)

    # The path

    @property
    def num_times(self) -> None:
        """None: time is continuous."""
        return

    def visited_times(
        self, num_steps: int, spacing: Spacing = "trailing", offset: int = 0
    ) -> list[float]:
        """Return ``num_steps`` decreasing times from 1 on.

        "trailing" has the times i / S, "linspace" ends at 1 / num_train_timesteps, as diffusers
        does by default.

        Raises:
            ConfigError: The spacing is "leading", which does not begin at noise.
        """
        S = num_steps
        if spacing == "leading" or offset:
            raise ConfigError(
                f"timestep_spacing {spacing!r} with steps_offset {offset} does not begin at "
                "t = 1, where a flow's samples begin. Use 'trailing' or 'linspace', and no "
                "offset."
            )
        if spacing == "trailing":
            return [i / S for i in range(S, 0, -1)]
        last = 1 / self.config.num_train_timesteps
        if S == 1:
            return [1.0]
        return [1 - (1 - last) * i / (S - 1) for i in range(S)]

    def path(self, times: Sequence[float]) -> tuple[list[float], list[float]]:
        """Return 1 − t and t."""
        return [1 - t for t in times], list(times)

    def coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 − t and t, (B, 1, ...), for times (B,) and states like ``like``."""
        s = t.to(like.dtype).view(-1, *[1] * (like.ndim - 1))
        return 1 - s, s

    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the velocity, (B, *state_shape), of states at times (B,) in [0, 1]."""
        t = t.to(x_t.dtype)
        output: Tensor = self.network(x_t, t * self.config.num_train_timesteps, signal)
        if self.config.prediction_type == "flow_prediction":
            return output
        return (x_t - output) / t.clamp_min(_LEAST_TIME).view(-1, *[1] * (x_t.ndim - 1))

    def standard_log_density(self, x: Tensor) -> Tensor:
        """Return log N(x; 0, I) of states (B, *state_shape), (B,)."""
        squares = x.flatten(1).square().sum(1)
        return -0.5 * (squares + math.prod(self.state_shape) * math.log(2 * math.pi))
