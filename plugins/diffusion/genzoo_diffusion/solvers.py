"""diffusers' schedulers with the model's noise schedule and chosen times."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo_diffusion.dependencies import diffusers
from genzoo_diffusion.guidance import Denoiser

if TYPE_CHECKING:
    from genzoo_diffusion.diffusion import Diffusion

Clamp = Callable[[Tensor, int], Tensor]
"""A change of a state at a time; −1 is the time of the data."""
_LEAST = 2.0**-24
"""The value that diffusers uses in place of ᾱ = 0 to avoid a division by zero."""


class Solver(abc.ABC):
    """Abstract base class of schedulers for one trajectory.

    Attributes:
        times: The model's time at each call of the denoiser.
    """

    scheduler: Any
    times: list[int]

    def run(
        self,
        denoiser: Denoiser,
        x: Tensor,
        generator: torch.Generator | None = None,
        clamp: Clamp | None = None,
    ) -> Iterator[Tensor]:
        """Yield the state after each step from the state ``x`` at the first time."""
        sample, after = self.enter(x), [*self.times[1:], -1]
        for i, t in enumerate(self.scheduler.timesteps):
            x_t = self.scheduler.scale_model_input(sample, t)
            sample = self.step(denoiser(x_t, self.times[i]), t, sample, generator)
            # The last step of a second-order method, to zero noise, is of first order.
            if self.between() and after[i] >= 0:
                continue
            x = self.leave(sample)
            if clamp is not None:
                x = clamp(x, after[i])
                sample = self.enter(x)
            yield x

    def step(
        self, output: Tensor, t: Any, sample: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Return the scheduler's next sample."""
        previous: Tensor = self.scheduler.step(output, t, sample, return_dict=False)[0]
        return previous

    def enter(self, x: Tensor) -> Tensor:
        """Return a state in the scheduler's units."""
        return x

    def leave(self, sample: Tensor) -> Tensor:
        """Return the scheduler's sample as a state."""
        return sample

    def between(self) -> bool:
        """Whether the scheduler is between two evaluations of one step."""
        return False


class Respaced(Solver):
    """A scheduler of a chain that has only the chosen times.

    Its T is the number of these times and its ᾱ are theirs, so that the preceding time is correct
    for any spacing: some schedulers assume a distance of T/S, which not every spacing has.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)

    Arguments:
        scheduler: The name of diffusers' class.
        model: The model, for its noise schedule.
        times: The visited times, decreasing.
        options: Further arguments of the class.
        step_options: Further arguments of its ``step``.
    """

    def __init__(
        self,
        scheduler: str,
        model: Diffusion,
        times: Sequence[int],
        options: Mapping[str, Any],
        step_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.times, self.step_options = list(times), dict(step_options or {})
        schedule = model.schedule.at(times)
        self.scheduler = getattr(diffusers(), scheduler)(
            num_train_timesteps=len(times),
            trained_betas=schedule.beta.tolist(),
            prediction_type=model.parameterization.name,
            **options,
        )
        self.scheduler.alphas_cumprod = precisely(schedule.alpha_bar, model)
        self.scheduler.set_timesteps(len(times))

    def step(
        self, output: Tensor, t: Any, sample: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """Return the next sample, with noise from the generator."""
        found = self.scheduler.step(
            output, int(t), sample, generator=generator, return_dict=False, **self.step_options
        )
        previous: Tensor = found[0]
        return previous


def precisely(values: Tensor, model: Diffusion) -> Tensor:
    """Return float64 values at the highest precision of the model's device.

    diffusers stores them in float32, in which 1 − ᾱ of the first times has three digits.
    """
    return values.float() if model.device.type == "mps" else values


class Timed(Solver):
    """A scheduler of the model's whole chain with given times.

    Arguments:
        scheduler: The name of diffusers' class.
        model: The model, for its noise schedule.
        times: The visited times, decreasing.
        options: Further arguments of the class.
    """

    def __init__(
        self, scheduler: str, model: Diffusion, times: Sequence[int], options: Mapping[str, Any]
    ) -> None:
        self.scheduler = getattr(diffusers(), scheduler)(
            num_train_timesteps=len(model.schedule),
            trained_betas=model.schedule.beta.tolist(),
            prediction_type=model.parameterization.name,
            **options,
        )
        self.scheduler.set_timesteps(timesteps=list(times))
        self.times = [int(t) for t in self.scheduler.timesteps]
        alpha_bar = model.schedule.alpha_bar[self.times].clamp_min(_LEAST)
        sigma = torch.cat([((1 - alpha_bar) / alpha_bar).sqrt(), alpha_bar.new_zeros(1)])
        self.scheduler.sigmas = precisely(sigma, model)


class VarianceExploding(Timed):
    """A scheduler whose samples are x_t / √ᾱ_t = x_0 + σ_t ε, σ² = (1 − ᾱ) / ᾱ.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)
    """

    def enter(self, x: Tensor) -> Tensor:
        """Return x √(1 + σ²)."""
        return x * self._scale()

    def leave(self, sample: Tensor) -> Tensor:
        """Return x / √(1 + σ²)."""
        return sample / self._scale()

    def between(self) -> bool:
        """Whether a second-order step has been evaluated once."""
        return self.scheduler.order == 2 and not self.scheduler.state_in_first_order

    def _scale(self) -> float:
        step = self.scheduler.step_index or 0
        return float((1 + self.scheduler.sigmas[step].double() ** 2).sqrt())
