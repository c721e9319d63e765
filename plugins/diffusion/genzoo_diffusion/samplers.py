"""Samplers of diffusion models: reverse steps by diffusers' schedulers."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    NO_CONDITIONS,
    Bounds,
    CapabilityError,
    Conditions,
    Config,
    ConfigError,
    Model,
    Sampler,
)
from genzoo_diffusion.diffusion import Diffusion
from genzoo_diffusion.exact import LastStep, check_exact
from genzoo_diffusion.grid import Spacing, from_strength, times
from genzoo_diffusion.guidance import make_denoiser, negative_signal
from genzoo_diffusion.solvers import (
    Clamp,
    Respaced,
    Solver,
    Timed,
    VarianceExploding,
    precisely,
)

_Steps = Annotated[int, Bounds(1, 10**5)]


@dataclass(frozen=True, kw_only=True)
class DenoiseConfig(Config):
    """Options of reverse steps."""

    timestep_spacing: Spacing = "trailing"
    """The spacing of the visited times, as in diffusers."""
    guidance_scale: Annotated[float, Bounds(-1e3, 1e3)] = 1.0
    """s of ε_∅ + s (ε_c − ε_∅); 1 means no guidance, at half the cost."""
    negative_prompt: str | None = None
    """A text whose ε replaces ε_∅, so that guidance leads away from it."""
    negative_condition: Mapping[str, Annotated[int, Bounds(0, 2**20)] | str] | None = None
    """The same for any conditions by name: a class's number or name, or a text."""
    strength: Annotated[float | None, Bounds(0.0, 1.0)] = None
    """The share of T to which given examples are noised before they are denoised; with None, given
    states are taken to be states at the first time."""
    steps_offset: Annotated[int, Bounds(0, 10**5)] = 0
    """The offset of every time of the spacing 'leading'; 1 in Stable Diffusion."""
    num_inference_steps: _Steps | None = None
    """Steps, of which the model has at most T; all T times by default."""


@dataclass(frozen=True, kw_only=True)
class StepsConfig(DenoiseConfig):
    """Options of reverse steps with a fixed default number."""

    num_inference_steps: _Steps = 50
    """The number of steps, at most T."""


S = TypeVar("S", bound=DenoiseConfig)


class Denoise(Sampler[S], abc.ABC):
    """Abstract base class of reverse steps from noise, or from given examples with noise.

    A trajectory has one state for each step. States are those of the model: data of a `DDPM`,
    scaled from [0, 1] to [−1, 1]; codes of a latent model.

    | SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations
    | (Meng et al., 2022), for ``strength``

    Class attributes:
        predictions: The prediction types that the scheduler supports.
    """

    Config: ClassVar[type[DenoiseConfig]] = StepsConfig
    requires = (Diffusion,)
    predictions: ClassVar[frozenset[str]] = frozenset({"epsilon", "sample", "v_prediction"})

    @abc.abstractmethod
    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return the scheduler for a model and decreasing times."""

    def clamp(self, model: Diffusion, generator: torch.Generator) -> Clamp | None:
        """Return the change of a state after each step; none by default."""
        return None

    def num_inference_steps(self, model: Diffusion) -> int:
        """Return the number of steps of the whole chain: T if the config has no number."""
        return self.config.num_inference_steps or len(model.schedule)

    def num_states(self, model: Model) -> int:
        """Return the number of steps."""
        return len(self.grid(self.checked(model)))

    def grid(self, model: Diffusion) -> list[int]:
        """Return the visited times, decreasing."""
        T, config = len(model.schedule), self.config
        steps = self.num_inference_steps(model)
        grid = times(config.timestep_spacing, T, steps, config.steps_offset)
        return grid if config.strength is None else from_strength(grid, config.strength, T)

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
        without noise, such as those of `Diffusion.state`.

        Raises:
            CapabilityError: The model is not a diffusion model, or the scheduler does not support
                its prediction type.
            ConditionError: A condition is missing, superfluous or out of range, or guidance needs
                a model that is trained without conditions.
            ConfigError: There are more steps than times, or a negative condition without guidance.
        """
        diffusion: Diffusion = self.checked(model)
        self._check_prediction(diffusion)
        grid, scale = self.grid(diffusion), self.config.guidance_scale
        prompt, negative = self.config.negative_prompt, self.config.negative_condition
        away = negative_signal(diffusion, prompt, negative, num, scale)
        denoiser = make_denoiser(diffusion, condition, num, scale, away)
        x = self._start(diffusion, num, start, grid[0], generator)
        clamp = self.clamp(diffusion, generator)
        yield from self.solver(diffusion, grid).run(denoiser, x, generator, clamp)

    def _start(
        self, model: Diffusion, num: int, start: Tensor | None, t: int, generator: torch.Generator
    ) -> Tensor:
        strength = self.config.strength
        if start is None and strength is not None:
            raise ConfigError(
                f"A strength of {strength:g} needs examples to vary. "
                "Give them as start=..., or leave strength out."
            )
        if start is None:
            return model.standard_normal(num, generator)
        start = start.to(model.device, model.dtype)
        if strength is None:
            return start
        noise = model.standard_normal(num, generator)
        return model.diffuse(start, torch.full((num,), t, device=model.device), noise)

    def _check_prediction(self, model: Diffusion) -> None:
        kind = model.parameterization.name
        if kind not in self.predictions:
            raise CapabilityError(
                f"{type(self).__name__} is for models that predict "
                f"{' or '.join(sorted(self.predictions))}; this one predicts {kind}. Use "
                "--sampler ddim or dpm-solver++."
            )


@dataclass(frozen=True, kw_only=True)
class DDPMConfig(DenoiseConfig):
    """Ancestral sampling."""

    num_inference_steps: _Steps | None = None
    """The number of steps; by default T, the chain of the likelihood."""
    variance_type: Literal["fixed_small", "fixed_large"] | None = None
    """The variance of a step: that of q(x_{t−1} | x_t, x_0), or β_t; the model's by default."""
    clip_sample: bool = True
    """Whether predictions of bounded states, such as data in [0, 1], are clipped."""
    exact: bool = False
    """Whether the last step is drawn too, including grey levels, so that samples have the
    distribution of the likelihood; other options that change the chain are refused."""


class DDPMSampler(Denoise[DDPMConfig]):
    """Ancestral sampling, x_{t−1} ~ N(μ(x_t, t), σ_t² I): the model's chain.

    With fewer steps than T, it is the chain of the visited times.

    By default it ends, as in the paper, at the mean x̂_0 of the last step, without noise and
    between the grey levels. This is not the distribution of a `DDPM`'s likelihood. With ``exact``
    it is: the last step is drawn from p(x_0 | x at time 0), which is N(x̂_0, σ_0² I), cut into
    grey levels if there are any. Draws outside [0, 1] are clipped.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
    """

    Config = DDPMConfig

    def clamp(self, model: Diffusion, generator: torch.Generator) -> Clamp | None:
        """Return the draw of the last step, if the chain is exact."""
        exact = self.config.exact
        return LastStep(check_exact(model, self.config), generator) if exact else None

    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return diffusers' DDPMScheduler."""
        variance = self.config.variance_type or model.config.variance_type
        options = {"variance_type": variance, "clip_sample": clips(self, model)}
        return Respaced("DDPMScheduler", model, grid, options)


@dataclass(frozen=True, kw_only=True)
class DDIMConfig(StepsConfig):
    """Denoising diffusion implicit models."""

    eta: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """η: the share of an ancestral step's noise; with 0 the steps are deterministic."""
    clip_sample: bool = True
    """Whether predictions of bounded states, such as data in [0, 1], are clipped."""
    set_alpha_to_one: bool = True
    """Whether the last step ends at the data or, as in Stable Diffusion, at the noise of t = 0."""


class DDIM(Denoise[DDIMConfig]):
    """DDIM: x_{t−1} = √ᾱ_{t−1} x̂_0 + √(1 − ᾱ_{t−1} − σ²) ε̂ + σ ε, with σ = η √β̃.

    | Denoising Diffusion Implicit Models (Song, Meng, Ermon, 2021)
    """

    Config = DDIMConfig

    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return diffusers' DDIMScheduler."""
        clip = clips(self, model)
        # ε̂ follows from the clipped x̂_0: else guided samples, with much clipping, would drift.
        step = {"eta": self.config.eta, "use_clipped_model_output": clip}
        solver = Respaced("DDIMScheduler", model, grid, {"clip_sample": clip}, step)
        if not self.config.set_alpha_to_one:
            solver.scheduler.final_alpha_cumprod = precisely(model.schedule.alpha_bar[0], model)
        return solver


@dataclass(frozen=True, kw_only=True)
class DPMSolverConfig(StepsConfig):
    """DPM-Solver++."""

    num_inference_steps: _Steps = 20
    """The number of steps, at most T."""
    solver_order: Annotated[int, Bounds(1, 3)] = 2
    """The order of the solver; 3 is unstable under guidance."""


class DPMSolver(Denoise[DPMSolverConfig]):
    """DPM-Solver++: a multistep solver of the probability flow, exact in its linear part.

    The spacing "trailing" is best, except in one case. With the exact denoiser of N(1, .25) and T
    = 1000, samples have these standard deviations, divided by the true one:

    =======  ========  ========  ========  ========
    chain    spacing   10 steps  20 steps  50 steps
    =======  ========  ========  ========  ========
    linear   trailing  .81       .96       1.00
    linear   linspace  1.39      1.24      1.06
    linear   leading   1.38      1.23      1.05
    cosine   trailing  .95       1.00      1.00
    cosine   linspace  1.29      1.10      1.02
    cosine   leading   1.27      1.09      1.02
    =======  ========  ========  ========  ========

    The other two end at t = 0, after a long step over the widest range of noise.

    The exception is the cosine chain with predictions of ε. Its last time has ᾱ = 2e-9, which
    multiplies an error of ε by thousands in x̂_0: an error of .01 shifts samples by 2.95, 1.54 and
    .63 at 10, 20 and 50 steps with "trailing", and by .12, .06 and .04 with "leading", which omits
    that time. With predictions of v the shift with "trailing" is .01. Without any error the mean
    is shifted too: by .06, .03 and .01 with "trailing", since the least ᾱ is replaced by 2⁻²⁴, and
    by .10, .04 and .02 with "leading"; on the linear chain by at most .01.

    For data with a small variance "trailing" ends too early: for N(.5, .01) it gives .28, .50 and
    .79 of the standard deviation on the linear chain, "linspace" .65, .97 and 1.15.

    | DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models
    | (Lu et al., 2022)
    """

    Config = DPMSolverConfig

    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return diffusers' DPMSolverMultistepScheduler."""
        options = {"solver_order": self.config.solver_order}
        return Timed("DPMSolverMultistepScheduler", model, grid, options)


class Euler(Denoise[StepsConfig]):
    """Euler's method for the probability flow, dx/dσ = ε̂.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)
    """

    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return diffusers' EulerDiscreteScheduler."""
        return VarianceExploding("EulerDiscreteScheduler", model, grid, {})


@dataclass(frozen=True, kw_only=True)
class HeunConfig(StepsConfig):
    """Heun's method."""

    num_inference_steps: _Steps = 25
    """The number of steps, at most T; each but the last runs the network twice."""


class Heun(Denoise[HeunConfig]):
    """Heun's second-order method for the probability flow.

    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022)
    """

    Config = HeunConfig
    predictions = frozenset({"epsilon", "v_prediction"})

    def solver(self, model: Diffusion, grid: list[int]) -> Solver:
        """Return diffusers' HeunDiscreteScheduler."""
        return VarianceExploding("HeunDiscreteScheduler", model, grid, {})


def clips(sampler: Denoise[Any], model: Diffusion) -> bool:
    """Whether predicted data are clipped to [−1, 1]."""
    return bool(sampler.config.clip_sample) and model.is_bounded
