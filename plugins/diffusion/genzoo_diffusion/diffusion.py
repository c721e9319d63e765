"""The base class of diffusion models: a chain of states, and a network that denoises them."""

from __future__ import annotations

import abc
import math
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import Component, batch_size_for
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.config import DiffusionConfig
from genzoo_diffusion.construction import make_embedder, make_network
from genzoo_diffusion.denoising_model import DenoisingModel
from genzoo_diffusion.networks import widest
from genzoo_diffusion.parameterization import PARAMETERIZATIONS
from genzoo_diffusion.schedule import make_schedule

_PREVIEW_STEPS = 20


class Diffusion(DenoisingModel[DiffusionConfig]):
    """Abstract base class of diffusion models, p(x_{t−1} | x_t) = N(μ(x_t, t), σ_t² I).

    x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε. The network predicts ε, x_0 or v from x_t, and μ is the mean of
    q(x_{t−1} | x_t, x_0) at the predicted x_0. Times are t = 0, …, T − 1, as in diffusers; x_0 is
    the state without noise, before the first time.

    Samplers, guidance and the objective ``denoising`` work with any such model.

    | Deep Unsupervised Learning using Nonequilibrium Thermodynamics
    | (Sohl-Dickstein, Weiss, Maheswaranathan, Ganguli, 2015)
    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)

    Arguments:
        config: Network, schedule and conditions.
        state_shape: The shape of a state.

    Attributes:
        state_shape: The shape of a state.
        schedule: The noise at each time.
        parameterization: What the network predicts.
        embedder: Encodes the conditions for the network.
        network: Predicts, given x_t, t and the encoded conditions.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, config: DiffusionConfig, state_shape: tuple[int, ...]) -> None:
        super().__init__(config)
        self.state_shape = state_shape
        self.schedule = make_schedule(
            config.schedule, config.num_train_timesteps, config.beta_start, config.beta_end
        )
        self.parameterization = PARAMETERIZATIONS[config.prediction_type]
        self.embedder = make_embedder(config)
        self.network = make_network(config, state_shape)
        # Both roots are computed separately, since 1 − ᾱ keeps few digits in float32.
        dtype, alpha_bar = torch.get_default_dtype(), self.schedule.alpha_bar
        self.register_buffer("alpha", alpha_bar.sqrt().to(dtype), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().to(dtype), persistent=False)

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
    def default_sampler(cls, config: DiffusionConfig) -> Component:
        """Return ancestral sampling over all times."""
        return Component(name="ddpm")

    @classmethod
    def preview_sampler(cls, config: DiffusionConfig) -> Component:
        """Return DDIM with few steps: the whole chain would take longer than many updates."""
        steps = min(_PREVIEW_STEPS, config.num_train_timesteps)
        return Component(name="ddim", config={"num_inference_steps": steps})

    # Units

    @abc.abstractmethod
    def state(self, x: Tensor) -> Tensor:
        """Convert data (B, *event_shape) to final states (B, *state_shape) of the chain."""

    @abc.abstractmethod
    def to_data(self, state: Tensor) -> Tensor:
        """Convert final states (B, *state_shape) to x, (B, *event_shape)."""

    # Conditionals

    def diffuse(self, x_0: Tensor, t: Tensor, epsilon: Tensor) -> Tensor:
        """Return x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, for times (B,)."""
        a, s = self.coefficients(t, x_0)
        return a * x_0 + s * epsilon

    def predict(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the network's prediction, (B, *state_shape), for states at times (B,)."""
        output: Tensor = self.network(x_t, t, signal)
        return output

    def predicted_x_0(self, x_t: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the predicted x_0, (B, *state_shape)."""
        a, s = self.coefficients(t, x_t)
        return self.parameterization.x_0(self.predict(x_t, t, signal), x_t, a, s)

    def coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ_t and √(1 − ᾱ_t), (B, 1, ...), for times (B,) and states like ``like``."""
        shape = (-1, *[1] * (like.ndim - 1))
        return self.alpha[t].view(shape), self.sigma[t].view(shape)
