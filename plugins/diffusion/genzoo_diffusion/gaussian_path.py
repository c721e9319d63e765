"""The base class of models whose states are data with Gaussian noise."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import batch_size_for
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.construction import make_embedder, make_network
from genzoo_diffusion.denoising_model import DenoisingModel
from genzoo_diffusion.grid import Spacing
from genzoo_diffusion.networks import widest
from genzoo_diffusion.parameterization import Parameterization


class GaussianPath(DenoisingModel[Any], abc.ABC):
    """Abstract base class of models of states x_t = a_t x_0 + s_t ε, with ε ~ N(0, I).

    x_0 is a state without noise. A network sees x_t and t, and its prediction determines x_0 and
    ε. A diffusion has T times and a_t² + s_t² = 1; a rectified flow has the times (0, 1] and
    a_t + s_t = 1. Samplers, guidance and inpainting work with any such model.

    Arguments:
        config: Network, path and conditions.
        state_shape: The shape of a state.

    Attributes:
        state_shape: The shape of a state.
        parameterization: What the network predicts.
        embedder: Encodes the conditions for the network.
        network: Predicts, given x_t, t and the encoded conditions.
    """

    parameterization: Parameterization

    def __init__(self, config: Any, state_shape: tuple[int, ...]) -> None:
        super().__init__(config)
        self.state_shape = state_shape
        self.embedder = make_embedder(config)
        self.network = make_network(config, state_shape)

    @property
    @abc.abstractmethod
    def is_bounded(self) -> bool:
        """Whether states without noise lie in [−1, 1], so that samplers may clip predictions."""

    @property
    def default_batch_size(self) -> int:
        """The number of states that are denoised at once, by the network's widest layer."""
        if self.config.network == "transformer":
            net: Any = self.network
            return batch_size_for(net.widest)
        if self.config.network != "image":
            return batch_size_for(max(self.config.hidden_dim, math.prod(self.state_shape)))
        unet: Any = self.network.unet
        return batch_size_for(widest(unet.config.block_out_channels, self.state_shape))

    @classmethod
    @abc.abstractmethod
    def suited(cls, shape: Sequence[int], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields of the config that fit states of a shape, without those that are given."""

    # Units

    @abc.abstractmethod
    def state(self, x: Tensor) -> Tensor:
        """Convert data (B, *event_shape) to states without noise (B, *state_shape)."""

    @abc.abstractmethod
    def to_data(self, state: Tensor) -> Tensor:
        """Convert states without noise (B, *state_shape) to x, (B, *event_shape)."""

    # The path

    @property
    @abc.abstractmethod
    def num_times(self) -> int | None:
        """T, the number of times; None if time is continuous."""

    @abc.abstractmethod
    def visited_times(
        self, num_steps: int, spacing: Spacing = "trailing", offset: int = 0
    ) -> list[Any]:
        """Return the decreasing times of a sampler with a number of steps.

        Raises:
            ConfigError: There are fewer times than steps, or the spacing is not possible.
        """

    @abc.abstractmethod
    def path(self, times: Sequence[Any]) -> tuple[list[float], list[float]]:
        """Return a_t and s_t of times, as numbers of double precision."""

    @abc.abstractmethod
    def coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return a_t and s_t, (B, 1, ...), for times (B,) and states like ``like``."""

    def diffuse(self, x_0: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """Return x_t = a_t x_0 + s_t ε, for times (B,)."""
        a, s = self.coefficients(t, x_0)
        return a * x_0 + s * epsilon

    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the network's prediction, (B, *state_shape), for states at times (B,)."""
        a, s = self.coefficients(t, x_t)
        x, time = self.parameterization.inputs(x_t, t, a, s)
        output: Tensor = self.network(x, time, signal)
        return output

    def predicted_x_0(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the predicted x_0, (B, *state_shape)."""
        a, s = self.coefficients(t, x_t)
        return self.parameterization.x_0(self.predict(x_t, t, signal), x_t, a, s)

    def standard_normal(self, num: int, generator: torch.Generator) -> Tensor:
        """Return noise with the shape of ``num`` states."""
        shape = (num, *self.state_shape)
        return torch.randn(shape, generator=generator, device=self.device, dtype=self.dtype)
