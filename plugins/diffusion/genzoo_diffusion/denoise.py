"""The base classes of samplers that denoise: from noise to data in steps."""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Bounds, Conditions, Config, ConfigError, Model, Sampler
from genzoo_diffusion.gaussian_path import GaussianPath
from genzoo_diffusion.grid import Spacing, from_strength, shifted
from genzoo_diffusion.guidance import make_denoiser, negative_signal
from genzoo_diffusion.levels import DATA, Level, Predictor, levels_at

Steps = Annotated[int, Bounds(1, 10**5)]
Change = Callable[[Tensor, Level], Tensor]
"""A change of states after a step, at their level."""


@dataclass(frozen=True, kw_only=True)
class GuidedConfig(Config):
    """Options of all samplers that denoise."""

    guidance_scale: Annotated[float, Bounds(-1e3, 1e3)] = 1.0
    """s of ε_∅ + s (ε_c − ε_∅); 1 means no guidance, at half the cost."""
    negative_prompt: str | None = None
    """A text whose ε replaces ε_∅, so that guidance leads away from it."""
    negative_condition: Mapping[str, Annotated[int, Bounds(0, 2**20)] | str] | None = None
    """The same for any conditions by name: a class's number or name, or a text."""
    strength: Annotated[float | None, Bounds(0.0, 1.0)] = None
    """The share of all times to which given examples are noised before they are denoised; with
    None, given states are taken to be states at the first time."""


@dataclass(frozen=True, kw_only=True)
class DenoiseConfig(GuidedConfig):
    """Options of reverse steps."""

    timestep_spacing: Spacing = "trailing"
    """The spacing of the visited times, as in diffusers."""
    steps_offset: Annotated[int, Bounds(0, 10**5)] = 0
    """The offset of every time of the spacing 'leading'; 1 in Stable Diffusion."""
    timestep_shift: Annotated[float | None, Bounds(1e-3, 1e3)] = None
    """s of t' = s t / (1 + (s − 1) t), for models of continuous time: above 1, more steps are made
    where the noise is large, as for large images; none by default."""
    num_inference_steps: Steps | None = None
    """The number of steps, at most T for a model of T times; by default all T times."""


@dataclass(frozen=True, kw_only=True)
class StepsConfig(DenoiseConfig):
    """Options of reverse steps with a fixed default number."""

    num_inference_steps: Steps = 50
    """The number of steps, at most T for a model of T times."""


G = TypeVar("G", bound=GuidedConfig)
S = TypeVar("S", bound=DenoiseConfig)


class Denoise(Sampler[G], abc.ABC):
    """Abstract base class of samplers from noise, or from given examples with noise.

    States are those of the model: data of a `DDPM`, scaled from [0, 1] to [−1, 1]; codes of a
    latent model.

    | SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations
    | (Meng et al., 2022), for ``strength``
    """

    requires = (GaussianPath,)

    @abc.abstractmethod
    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the visited levels of noise, from the first to that of the sample.

        Raises:
            ConfigError: The config does not fit the model's times.
        """

    @abc.abstractmethod
    def steps(self, predictor: Predictor, x: Tensor, levels: list[Level]) -> Iterator[Tensor]:
        """Yield states, from x at the first level to the sample at the last one."""

    def clips(self, model: GaussianPath) -> bool:
        """Whether predicted states without noise are clipped to [−1, 1]; not by default."""
        return False

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the state after each step, (num, *state_shape).

        ``start`` holds states at the first time or, if the config has a ``strength``, states
        without noise, such as those of `GaussianPath.state`.

        Raises:
            CapabilityError: The sampler is not for this model.
            ConditionError: A condition is missing, superfluous or out of range, or guidance needs
                a model that is trained without conditions.
            ConfigError: The config does not fit the model's times, or there is a negative
                condition without guidance.
        """
        path: GaussianPath = self.checked(model)
        levels, scale = self.levels(path), self.config.guidance_scale
        prompt, negative = self.config.negative_prompt, self.config.negative_condition
        away = negative_signal(path, prompt, negative, num, scale)
        denoiser = make_denoiser(path, condition, num, scale, away)
        predictor = Predictor(path, denoiser, generator, self.clips(path))
        x = self._start(predictor, num, start, levels[0])
        yield from self.steps(predictor, x, levels)

    def _start(self, predictor: Predictor, num: int, start: Tensor | None, first: Level) -> Tensor:
        """Return the states at the first level."""
        model, strength = predictor.model, self.config.strength
        if start is None and strength is not None:
            raise ConfigError(
                f"A strength of {strength:g} needs examples to vary. "
                "Give them as start=..., or leave strength out."
            )
        if start is None:
            return model.standard_normal(num, predictor.generator)
        start = start.to(model.device, model.dtype)
        return start if strength is None else first.a * start + first.s * predictor.noise(start)


class OnGrid(Denoise[S], abc.ABC):
    """Abstract base class of samplers that visit given times.

    A trajectory has one state for each time, which is the state after the step from it.
    """

    Config: ClassVar[type[DenoiseConfig]] = StepsConfig

    def num_inference_steps(self, model: GaussianPath) -> int:
        """Return the number of steps: T if the config has none, or 1000 in continuous time."""
        return self.config.num_inference_steps or model.num_times or 1000

    def num_states(self, model: Model) -> int:
        """Return the number of steps."""
        return len(self.grid(self.checked(model)))

    def grid(self, model: GaussianPath) -> list[Any]:
        """Return the visited times, decreasing.

        Raises:
            ConfigError: There are more steps than times, or the spacing or the shift is not
                possible.
        """
        config, steps = self.config, self.num_inference_steps(model)
        grid = model.visited_times(steps, config.timestep_spacing, config.steps_offset)
        if config.timestep_shift is not None:
            grid = shifted(grid, config.timestep_shift, model.num_times)
        if config.strength is None:
            return grid
        return from_strength(grid, config.strength, model.num_times)

    def levels(self, model: GaussianPath) -> list[Level]:
        """Return the levels of the visited times, and of the data."""
        return [*levels_at(model, self.grid(model)), DATA]


class ReverseSteps(OnGrid[S], abc.ABC):
    """Abstract base class of samplers whose steps depend on two levels and nothing before."""

    @abc.abstractmethod
    def step(self, predictor: Predictor, x: Tensor, now: Level, after: Level) -> Tensor:
        """Return the states after a step from x at the level ``now``."""

    def steps(
        self,
        predictor: Predictor,
        x: Tensor,
        levels: list[Level],
        change: Change | None = None,
    ) -> Iterator[Tensor]:
        """Yield the states after each step from x at the first level, each after a change."""
        for now, after in itertools.pairwise(levels):
            x = self.step(predictor, x, now, after)
            if change is not None:
                x = change(x, after)
            yield x
