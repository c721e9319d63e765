"""The base class of diffusion models: a chain of states, and a network that denoises them."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import Component, Stage
from genzoo_diffusion.config import DiffusionConfig
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.grid import Spacing, times
from genzoo_diffusion.parameterization import make_parameterization
from genzoo_diffusion.schedule import make_schedule
from genzoo_diffusion.suiting import denoising, suited

_PREVIEW_STEPS = 20
_EDM_STEPS, _EDM_PREVIEW_STEPS = 18, 10


class Diffusion(GaussianPath, abc.ABC):
    """Abstract base class of diffusion models, p(x_{t−1} | x_t) = N(μ(x_t, t), σ_t² I).

    x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε. The network predicts ε, x_0, v or EDM's F, and μ is the mean of
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
        schedule: The noise at each time.
    """

    alpha: Tensor
    sigma: Tensor
    config: DiffusionConfig

    def __init__(self, config: DiffusionConfig, state_shape: tuple[int, ...]) -> None:
        super().__init__(config, state_shape)
        self.parameterization = make_parameterization(config.prediction_type, config.sigma_data)
        self.schedule = make_schedule(
            config.schedule,
            config.num_train_timesteps,
            config.beta_start,
            config.beta_end,
            config.sigma_min,
            config.sigma_max,
            config.rho,
        )
        # Both roots are computed separately, since 1 − ᾱ keeps few digits in float32.
        dtype, alpha_bar = torch.get_default_dtype(), self.schedule.alpha_bar
        self.register_buffer("alpha", alpha_bar.sqrt().to(dtype), persistent=False)
        self.register_buffer("sigma", (1 - alpha_bar).sqrt().to(dtype), persistent=False)

    @classmethod
    def default_stages(cls, config: Any) -> tuple[Stage, ...]:
        """Return training by denoising, with averaged weights; see `suiting.denoising`."""
        return (denoising(config),)

    @classmethod
    def default_sampler(cls, config: DiffusionConfig) -> Component:
        """Return ancestral sampling over all times; for EDM the 18 steps of Heun of its paper.

        | Elucidating the Design Space of Diffusion-Based Generative Models
        | (Karras, Aittala, Aila, Laine, 2022)
        """
        if config.prediction_type == "edm":
            return _heun(_EDM_STEPS, config)
        return Component(name="ddpm")

    @classmethod
    def preview_sampler(cls, config: DiffusionConfig) -> Component:
        """Return DDIM with few steps: the whole chain would take longer than many updates.

        For EDM it is Heun's method.
        """
        if config.prediction_type == "edm":
            return _heun(_EDM_PREVIEW_STEPS, config)
        steps = min(_PREVIEW_STEPS, config.num_train_timesteps)
        return Component(name="ddim", config={"num_inference_steps": steps})

    @classmethod
    def suited(cls, shape: Sequence[int], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields of the config that fit states of a shape; see `suiting.suited`."""
        return suited(shape, given)

    # The path

    @property
    def num_times(self) -> int:
        """T, the number of times."""
        return len(self.schedule)

    def visited_times(
        self, num_steps: int, spacing: Spacing = "trailing", offset: int = 0
    ) -> list[int]:
        """Return ``num_steps`` decreasing times; see `grid.times`."""
        return times(spacing, len(self.schedule), num_steps, offset)

    def path(self, times: Sequence[int]) -> tuple[list[float], list[float]]:
        """Return √ᾱ_t and √(1 − ᾱ_t) of times, as numbers of double precision."""
        alpha_bar = self.schedule.alpha_bar[list(times)]
        return alpha_bar.sqrt().tolist(), (1 - alpha_bar).sqrt().tolist()

    def coefficients(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ_t and √(1 − ᾱ_t), (B, 1, ...), for times (B,) and states like ``like``."""
        shape = (-1, *[1] * (like.ndim - 1))
        return self.alpha[t].view(shape), self.sigma[t].view(shape)


def _heun(num_steps: int, config: DiffusionConfig) -> Component:
    """Return Heun's method at both ends of the schedule and at times between them."""
    steps = min(num_steps, config.num_train_timesteps)
    fields = {"num_inference_steps": steps, "timestep_spacing": "linspace"}
    return Component(name="heun", config=fields)
