"""diffusers' schedulers, set to the model's own schedule and to the times that we choose."""

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
"""Changes a state at a time; −1 is that of the data."""
_LEAST = 2.0**-24
"""What diffusers takes for an ᾱ of zero where it divides by it."""


class Solver(abc.ABC):
    """A scheduler for one trajectory, whose states it may hold in units of its own; abstract.

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
        """Yield the state after each step, beginning with the state ``x`` at the first time."""
        sample, after = self.enter(x), [*self.times[1:], -1]
        for i, t in enumerate(self.scheduler.timesteps):
            x_t = self.scheduler.scale_model_input(sample, t)
            sample = self.step(denoiser(x_t, self.times[i]), t, sample, generator)
            # The last step of a method of second order, to no noise at all, is of first order.
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
    """A scheduler of a chain that has the chosen times and no other.

    Its T is their number and its ᾱ theirs, so that the time before each is known whatever the
    spacing: some schedulers take T/S for the distance, which holds for some spacings alone.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)

    Arguments:
        scheduler: The name of diffusers' class.
        model: Whose schedule it is.
        times: Falling times.
        options: What the class takes in addition to the schedule.
        step_options: What its ``step`` takes.
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
    """Return float64 values as exactly as the model's device can take them as numbers.

    diffusers has them in float32, in which 1 − ᾱ of the first times is known to three digits.
    """
    return values.float() if model.device.type == "mps" else values


class Timed(Solver):
    """A scheduler of the model's whole chain that is told which times to visit.

    Arguments:
        scheduler: The name of diffusers' class.
        model: Whose schedule it is.
        times: Falling times.
        options: What the class takes in addition to the schedule.
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
        """Whether a step of second order has been evaluated once."""
        return self.scheduler.order == 2 and not self.scheduler.state_in_first_order

    def _scale(self) -> float:
        step = self.scheduler.step_index or 0
        return float((1 + self.scheduler.sigmas[step].double() ** 2).sqrt())
