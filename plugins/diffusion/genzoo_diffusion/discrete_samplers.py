"""Samplers of discrete diffusion: ancestral steps, and unmasking by confidence."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    NO_CONDITIONS,
    Bounds,
    CapabilityError,
    Conditions,
    Config,
    Model,
    NotFiniteSampleError,
    Sampler,
)
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion
from genzoo_diffusion.discrete_kernels import Absorbing
from genzoo_diffusion.guidance import Denoiser, make_denoiser, negative_signal

DEFAULT_STEPS = 64
_Steps = Annotated[int | None, Bounds(1, 10**5)]


@dataclass(frozen=True, kw_only=True)
class DiscreteStepsConfig(Config):
    """Options of reverse steps over categories."""

    num_inference_steps: _Steps = None
    """The number of steps; by default the model's T, or 64 in continuous time. Of an absorbing
    kernel, at most one for each place is made."""
    temperature: Annotated[float, Bounds(1e-3, 1e3)] = 1.0
    """What the logits of a place are divided by; 1 draws from the model."""
    guidance_scale: Annotated[float, Bounds(-1e3, 1e3)] = 1.0
    """s of the logits ℓ_∅ + s (ℓ_c − ℓ_∅); 1 means no guidance, at half the cost."""
    negative_prompt: str | None = None
    """A text whose logits replace ℓ_∅, so that guidance leads away from it."""
    negative_condition: Mapping[str, Annotated[int, Bounds(0, 2**20)] | str] | None = None
    """The same for any conditions by name: a class's number or name, or a text."""


S = TypeVar("S", bound=DiscreteStepsConfig)


class Watched(Denoiser):
    """A denoiser that remembers whether its logits were finite: categories cannot show it.

    Arguments:
        denoiser: The denoiser.
        device: The device of its logits.
    """

    def __init__(self, denoiser: Denoiser, device: torch.device) -> None:
        self.denoiser, self.finite = denoiser, torch.ones((), dtype=torch.bool, device=device)

    def __call__(self, x_t: Tensor, t: float) -> Tensor:
        """Return the denoiser's logits."""
        logits = self.denoiser(x_t, t)
        self.finite = self.finite & logits.isfinite().all()
        return logits

    def check(self) -> None:
        """Raise NotFiniteSampleError if logits were not finite; the device is read once."""
        if not bool(self.finite):
            raise NotFiniteSampleError(
                "The probability of a category is not finite. The weights may be damaged, or "
                "training may have diverged."
            )


class DiscreteSampler(Sampler[S], abc.ABC):
    """Abstract base class of reverse steps over categories.

    States are categories (B, *event_shape), int64; K is a mask. ``start`` holds states at t = 1:
    of an absorbing kernel, places that it shows are kept.
    """

    Config: ClassVar[type[DiscreteStepsConfig]] = DiscreteStepsConfig
    requires = (DiscreteDiffusion,)

    @abc.abstractmethod
    def steps(
        self,
        model: DiscreteDiffusion,
        denoiser: Denoiser,
        x: Tensor,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the state after each step, from a state at t = 1."""

    def num_inference_steps(self, model: DiscreteDiffusion) -> int:
        """Return the number of steps."""
        return self.config.num_inference_steps or model.config.num_timesteps or DEFAULT_STEPS

    def num_states(self, model: Model) -> int:
        """Return the number of steps."""
        return self.num_inference_steps(self.checked(model))

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the state after each step, (num, *event_shape).

        Raises:
            CapabilityError: The model is not a discrete diffusion, or has another kernel.
            ConditionError: A condition is missing, superfluous or out of range, or guidance needs
                a model that is trained without conditions.
            NotFiniteSampleError: A probability is not finite.
        """
        known: DiscreteDiffusion = self.checked(model)
        config = self.config
        scale = config.guidance_scale
        away = negative_signal(
            known, config.negative_prompt, config.negative_condition, num, scale
        )
        denoiser = Watched(make_denoiser(known, condition, num, scale, away), known.device)
        x = first_state(known, num, generator) if start is None else start.to(known.device)
        yield from self.steps(known, denoiser, x, generator)
        denoiser.check()

    def probabilities(
        self, model: DiscreteDiffusion, denoiser: Denoiser, x: Tensor, t: float
    ) -> Tensor:
        """Return p(x_0 | x_t) at the temperature, (B, *event_shape, K)."""
        # What the state says comes after guidance, which subtracts logits, and is not scaled.
        logits = denoiser(x, t) / self.config.temperature
        return model.informed(logits, x, t).softmax(-1)


@dataclass(frozen=True, kw_only=True)
class DiscreteAncestralConfig(DiscreteStepsConfig):
    """Ancestral steps over categories."""

    corrector_steps: Annotated[int, Bounds(0, 10**4)] = 0
    """The number of corrections after each step: up by a part of the step, and back."""
    corrector_size: Annotated[float, Bounds(1e-4, 1.0)] = 0.2
    """This part. Small parts replace few places at once, so that a correction is nearly exact."""


class DiscreteAncestral(DiscreteSampler[DiscreteAncestralConfig]):
    """Ancestral steps: x_s ~ p(x_s | x_t) at equally spaced times.

    With the model's own number of steps T it is the chain of the likelihood. In continuous time
    the chain is approached with more steps; with the absorbing kernel and as many steps as places,
    places are shown one at a time in random order, which is the chain of continuous time itself.

    A correction goes from s up to s + size · (t − s) by the forward kernel and back by a reverse
    step. It leaves the law at s nearly unchanged if the network is exact, so errors of earlier
    steps fade. With the absorbing kernel it masks some places and draws them again.

    | Structured Denoising Diffusion Models in Discrete State-Spaces (Austin et al., 2021)
    | A Continuous Time Framework for Discrete Denoising Models (Campbell et al., 2022), for the
    | corrector
    | Masked Diffusion Models are Secretly Time-Agnostic Masked Models (Zheng et al., 2025), for
    | one place at a time
    """

    Config = DiscreteAncestralConfig

    def steps(
        self,
        model: DiscreteDiffusion,
        denoiser: Denoiser,
        x: Tensor,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the state after each step."""
        num = self.num_inference_steps(model)
        if self._one_at_a_time(model, num):
            yield from self._in_order(model, denoiser, x, generator)
            return
        times = torch.linspace(1, 0, num + 1, dtype=torch.float64)
        for t, s in itertools.pairwise(times.tolist()):
            x = self._back(model, denoiser, x, s, t, generator)
            up = s + self.config.corrector_size * (t - s)
            for _ in range(self.config.corrector_steps):
                x = model.kernel.noised(x, model.keep(s, up), generator)
                x = self._back(model, denoiser, x, s, up, generator)
            yield x

    def num_states(self, model: Model) -> int:
        """Return the number of steps; one for each place if they are shown one at a time."""
        known = self.checked(model)
        num = self.num_inference_steps(known)
        return known.event.num_dims if self._one_at_a_time(known, num) else num

    def _back(
        self,
        model: DiscreteDiffusion,
        denoiser: Denoiser,
        x: Tensor,
        s: float,
        t: float,
        generator: torch.Generator,
    ) -> Tensor:
        """Return a draw of x_s given a state at time t."""
        a_s, a_t = model.alpha(s), model.alpha(t)
        p = self.probabilities(model, denoiser, x, t)
        drawn = draw(model.kernel.reverse(x, p, a_s, a_t), generator)
        # A letter of a noisy state says nothing of where the text ends, until the last step.
        ends = isinstance(model.kernel, Absorbing) or s == 0
        return model.settled(drawn) if ends else drawn

    def _one_at_a_time(self, model: DiscreteDiffusion, num: int) -> bool:
        absorbing = isinstance(model.kernel, Absorbing)
        continuous = model.config.num_timesteps is None
        plain = not self.config.corrector_steps
        return absorbing and continuous and plain and num >= model.event.num_dims

    def _in_order(
        self,
        model: DiscreteDiffusion,
        denoiser: Denoiser,
        x: Tensor,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the states of one masked place after another, in random order."""
        order = torch.rand(x.flatten(1).shape, generator=generator, device=x.device)
        for _ in range(model.event.num_dims):
            masked = (x == model.num_categories).flatten(1)
            drawn = draw(self.probabilities(model, denoiser, x, 1.0), generator).flatten(1)
            next_one = order.masked_fill(~masked, -1.0).argmax(1, keepdim=True)
            shown = torch.zeros_like(masked).scatter(1, next_one, True) & masked
            x = model.settled(torch.where(shown, drawn, x.flatten(1)).view(x.shape))
            yield x


@dataclass(frozen=True, kw_only=True)
class ConfidenceConfig(DiscreteStepsConfig):
    """Unmasking by confidence."""

    choice_temperature: Annotated[float, Bounds(0.0, 1e3)] = 4.5
    """The factor of the Gumbel noise that is added to the log-probabilities of the draws; it falls
    to 0 with the share of masked places."""


class ConfidenceUnmasking(DiscreteSampler[ConfidenceConfig]):
    """Unmasking by confidence: after each step the most probable draws are kept.

    All masked places are drawn. Those with the largest log p + τ g are kept, with Gumbel noise g,
    until cos(π/2 · i / n) of the places are masked after step i of n. Samples need few steps, but
    are not draws from the model: frequent rows become more frequent.

    | MaskGIT: Masked Generative Image Transformer (Chang et al., 2022)
    """

    Config = ConfidenceConfig

    def steps(
        self,
        model: DiscreteDiffusion,
        denoiser: Denoiser,
        x: Tensor,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the state after each step."""
        mask = model.num_categories
        num = min(self.num_inference_steps(model), model.event.num_dims)
        at_first = (x == mask).flatten(1).sum(1, keepdim=True)
        for i in range(num):
            p = self.probabilities(model, denoiser, x, 1.0)
            drawn = draw(p, generator)
            share = math.cos(math.pi / 2 * (i + 1) / num) if i + 1 < num else 0.0
            chosen = p.gather(-1, drawn.unsqueeze(-1)).squeeze(-1).flatten(1).log()
            noise = self.config.choice_temperature * share
            score = chosen + noise * _gumbel(chosen, generator)
            flat, new = x.flatten(1), drawn.flatten(1)
            masked = flat == mask
            left = torch.minimum((at_first * share).long(), masked.sum(1, keepdim=True) - 1)
            rank = score.masked_fill(~masked, math.inf).argsort(1).argsort(1)
            keep = masked & (rank >= left)
            x = model.settled(torch.where(keep, new, flat).view(x.shape))
            yield x

    def checked(self, model: Model) -> Any:
        """Return the model if its kernel masks places.

        Raises:
            CapabilityError: The model is not a discrete diffusion, or has another kernel.
        """
        known = super().checked(model)
        if not isinstance(known.kernel, Absorbing):
            raise CapabilityError(
                "Unmasking by confidence needs the absorbing kernel; the model has the kernel "
                f"{known.config.kernel!r}. Use the sampler discrete-ancestral."
            )
        return known

    def num_states(self, model: Model) -> int:
        """Return the number of steps."""
        known: DiscreteDiffusion = self.checked(model)
        return min(self.num_inference_steps(known), known.event.num_dims)


def first_state(model: DiscreteDiffusion, num: int, generator: torch.Generator) -> Tensor:
    """Return states at t = 1, (num, *event_shape), with every place replaced."""
    like = torch.zeros(num, *model.event_shape, dtype=torch.int64, device=model.device)
    return model.kernel.replaced(like, generator)


def draw(p: Tensor, generator: torch.Generator) -> Tensor:
    """Return an index of the last dimension with probabilities proportional to ``p``.

    The first index whose cumulative sum exceeds a uniform number is found, which needs one pass.
    """
    ends = p.cumsum(-1)
    u = torch.rand(p.shape[:-1], generator=generator, device=p.device, dtype=p.dtype)
    # u · total is below the total, but rounding may reach it; such a draw takes the last index
    # that has a probability.
    at = torch.searchsorted(ends, (u.unsqueeze(-1) * ends[..., -1:]), right=True).squeeze(-1)
    last = p.shape[-1] - 1 - (p.flip(-1) > 0).int().argmax(-1)
    return torch.minimum(at, last)


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    u = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    tiny = torch.finfo(like.dtype).tiny
    return -(-u.clamp(min=tiny).log()).log()
