"""The variational bound on log p(x): its exact terms, and the bound of data."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from genzoo.plugin import LogProb, Note, by_blocks, evaluating, fresh_generator
from genzoo_diffusion.conditioning import Signal

if TYPE_CHECKING:
    from genzoo_diffusion.ddpm import DDPM

_ROWS = 512


@dataclass(frozen=True)
class Bound:
    """The bound's terms as functions of x_0, x_t and the prediction of x_0 at x_t.

    With q(x_t | x_0) and x_{t−1} given x_t, at the times t = 0, …, T − 1, the bound on −log p is

        KL(q(x_{T−1}) ‖ N(0, I)) + Σ_{t≥1} E KL(q(x_{t−1}) ‖ p(x_{t−1})) − E log p(x),

    the last term given the state at time 0. All terms are in nats. Probabilities are not clamped:
    a minimum of 1e-12 for a grey level, as in the paper's code, would invalidate the bound.

    The bound is for the chain of `DDPMSampler` with ``exact=True``, which also draws from the
    distribution of the last term.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020), equation 5

    Arguments:
        model: The model, for its schedule, variances and likelihood.
        clip: Whether predictions of data in [0, 1] are clipped, as in samplers: then the bound is
            that of their chain, and errors of ε at the last times count less.
    """

    model: DDPM
    clip: bool = False

    def prior(self, x_0: Tensor) -> Tensor:
        """Return KL(q(x_{T−1} | x_0) ‖ N(0, I)), (B,)."""
        alpha_bar = self.model.schedule.alpha_bar[-1].item()
        terms = alpha_bar * x_0.square() - alpha_bar - math.log1p(-alpha_bar)
        return 0.5 * terms.flatten(1).sum(1)

    def step(self, x_0: Tensor, predicted: Tensor, t: Tensor) -> Tensor:
        """Return KL(q(x_{t−1} | x_t, x_0) ‖ p(x_{t−1} | x_t)), (B,), for times t ≥ 1, (B,).

        Both are Gaussians, with variances β̃ and σ²: ½ (β̃/σ² − 1 − log β̃/σ²) for each value,
        plus the squared distance of their means divided by 2σ².
        """
        schedule, variance = self.model.schedule, step_variance(self.model)
        # Time 0 has no such term: β̃ is 0, and its logarithm would be infinite.
        ratio = schedule.posterior_variance[1:] / variance[1:]
        ratio = torch.cat([ratio.new_ones(1), ratio])
        # The means differ only in the term of x_0.
        weight = schedule.posterior_weights[0].square() / (2 * variance)
        shape = math.prod(self.model.event_shape)
        constant = 0.5 * shape * (ratio - 1 - ratio.log())
        error = (x_0 - predicted).square().flatten(1).sum(1)
        return _pick(constant, t, x_0) + _pick(weight, t, x_0) * error

    def decoder(self, x_0: Tensor, predicted: Tensor) -> Tensor:
        """Return −log p(x_0 | x at time 0), (B,): N(x̂_0, σ_0² I), cut into grey levels if any.

        For data in [0, 1] without levels it is the density in these units.
        """
        scale = step_variance(self.model)[0].sqrt().item()
        levels = self.model.levels
        if levels is not None:
            return -_log_of_levels(x_0, predicted, scale, levels).flatten(1).sum(1)
        z = (x_0 - predicted) / scale
        each = 0.5 * z.square() + math.log(scale) + 0.5 * math.log(2 * math.pi)
        unit = math.log(2) if self.model.is_bounded else 0.0
        return (each - unit).flatten(1).sum(1)

    def terms(self, x_0: Tensor, epsilon: Tensor, t: Tensor, signal: Signal) -> Tensor:
        """Return the term of each row's time, (B,); that of time 0 is the decoder's."""
        predicted = self.model.predicted_x_0(self.model.diffuse(x_0, t, epsilon), t, signal)
        if self.clip and self.model.is_bounded:
            predicted = predicted.clamp(-1, 1)
        first, later = self.decoder(x_0, predicted), self.step(x_0, predicted, t)
        return torch.where(t == 0, first, later)


def step_variance(model: DDPM) -> Tensor:
    """Return σ², (T,), as in diffusers' schedulers; at time 0, where β̃ is 0, the next β̃.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)
    """
    schedule = model.schedule
    if model.config.variance_type == "fixed_large":
        return schedule.beta
    variance = schedule.posterior_variance.clone()
    variance[0] = variance[1]
    return variance


def estimate(
    model: DDPM, x: Tensor, signal: Signal, generator: torch.Generator | None, num_times: int
) -> LogProb:
    """Return the bound of each example (N, *event_shape); see `DDPM.log_prob`."""
    if generator is None:
        generator = fresh_generator(model.device)

    def bounds(rows: slice) -> Tensor:
        x_0 = model.state(x[rows].to(model.device, model.dtype))
        return -_bound(model, x_0, signal.rows(rows), generator, num_times)

    with evaluating(model):
        values = by_blocks(bounds, len(x), _ROWS)
    return LogProb(
        values=values.to(model.dtype) if torch.is_grad_enabled() else values,
        kind="lower bound",
        measure="mass" if model.event.is_discrete else "density",
        notes=(_note(model, num_times),),
    )


def _bound(
    model: DDPM, x_0: Tensor, signal: Signal, generator: torch.Generator, num_times: int
) -> Tensor:
    """Return the bound on −log p for at most ``_ROWS`` rows, (B,), in float64.

    With fewer rows, more of their times go through the network together.
    """
    bound, num = Bound(model, clip=True), len(x_0)
    total = bound.prior(x_0).double()
    parts = [(0, 1), *_parts(len(model.schedule), num_times)]
    together = max(1, _ROWS // max(1, num))
    for first in range(0, len(parts), together):
        some = parts[first : first + together]
        t, epsilon = map(torch.cat, zip(*(_draw(x_0, p, generator) for p in some), strict=True))
        again = torch.arange(num, device=x_0.device).repeat(len(some))
        terms = bound.terms(x_0[again], epsilon, t, signal.rows(again)).double()
        for (low, high), term in zip(some, terms.view(-1, num), strict=True):
            total += (high - low) * term
    return total


def _draw(x_0: Tensor, part: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a time in a part of the chain and noise for each row."""
    t = torch.randint(*part, (len(x_0),), generator=generator, device=x_0.device)
    return t, torch.randn(x_0.shape, generator=generator, device=x_0.device, dtype=x_0.dtype)


def _parts(T: int, num: int) -> list[tuple[int, int]]:
    """Return the times 1, …, T − 1 in ``num`` parts of nearly equal length, without their ends."""
    edges = [1 + (T - 1) * i // num for i in range(num + 1)]
    return list(itertools.pairwise(edges))


def _log_of_levels(x_0: Tensor, mean: Tensor, scale: float, levels: int) -> Tensor:
    """Return log P of levels in [−1, 1] under N(mean, scale²), the outermost with its tail.

    With z = (x_0 − mean) / scale and half a level h, also divided by the scale, it is log Φ(h + z)
    for the lowest level, log Φ(h − z) for the highest, and else the logarithm of Φ(h − |z|) − Φ(−h
    − |z|), which has no cancellation.
    """
    half = 1 / (levels - 1)
    z, h = (x_0.double() - mean.double()) / scale, half / scale
    upper, lower = (torch.special.log_ndtr(end - z.abs()) for end in (h, -h))
    inner = upper + (-torch.expm1(lower - upper)).log()
    lowest, highest = torch.special.log_ndtr(h + z), torch.special.log_ndtr(h - z)
    outer = torch.where(x_0 > 0, highest, lowest)
    return torch.where(x_0.abs() > 1 - half, outer, inner).to(x_0.dtype)


def _pick(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device, like.dtype, non_blocking=True)[t]


def _note(model: DDPM, num_times: int) -> Note:
    T = len(model.schedule)
    share = "every time" if num_times == T - 1 else f"the first time and {num_times} others"
    text = f"Variational bound of {T} steps, each row's terms computed at {share}."
    return Note("variational-bound", text)
