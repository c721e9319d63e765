"""The variational bound of discrete diffusion, estimated without bias or computed exactly over t.

With x_0 the data, T steps and x_i the state at time i / T, the bound on −log p(x_0) is

    KL(q(x_T | x_0) ‖ π) + Σ_{i=1}^{T} E KL(q(x_{i−1} | x_i, x_0) ‖ p(x_{i−1} | x_i)),

and with T → ∞ an integral of rates. The last step, to t = 0, is part of the sum, since the
divergence from the known x_0 is −log p(x_0 | x_1).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import LogProb, Note, by_blocks, evaluating, fresh_generator
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.discrete_kernels import Absorbing

if TYPE_CHECKING:
    from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion

_LARGEST_T = 0.999999
"""The end of continuous time for the uniform kernel: rates divide by α, which ends at 0."""


def estimate(
    model: DiscreteDiffusion,
    x: Tensor,
    signal: Signal,
    generator: torch.Generator | None,
    num_samples: int,
    num_timesteps: int | None = None,
) -> LogProb:
    """Return the bound of each row (N, *event_shape) of the event's space.

    Arguments:
        model: The model.
        x: The rows.
        signal: The signal of their conditions.
        generator: The generator of states.
        num_samples: The number of states for each row.
        num_timesteps: T; the model's own by default. Time is continuous if that is None.
    """
    generator = fresh_generator(model.device) if generator is None else generator
    T = model.config.num_timesteps if num_timesteps is None else num_timesteps
    x_0, prior = model.state(x), prior_term(model)
    absorbing = isinstance(model.kernel, Absorbing)
    num = num_samples if absorbing or T is None else min(num_samples, T)
    errors: list[Tensor] = []

    def rows(index: slice) -> Tensor:
        found = _drawn(model, x_0[index], signal.rows(index), generator, T, num)
        errors.append(_standard_error(found))
        return -found.mean(0) - prior

    size = max(1, model.default_batch_size)
    with evaluating(model):
        values = by_blocks(rows, x_0.shape[0], size)
    return LogProb(
        values=values,
        kind="lower bound",
        measure="mass",
        std_errors=torch.cat(errors).to(values) if errors else torch.zeros_like(values),
        notes=(_note(model, T, num),),
        provenance={"num_samples": num, "timesteps": T or "continuous"},
    )


def prior_term(model: DiscreteDiffusion) -> float:
    """Return KL(q(x_1 | x_0) ‖ π) of a row, in nats."""
    return model.event.num_dims * model.kernel.prior_divergence(model.schedule.end)


def _drawn(
    model: DiscreteDiffusion,
    x: Tensor,
    signal: Signal,
    generator: torch.Generator,
    T: int | None,
    num: int,
) -> Tensor:
    """Return ``num`` unbiased values of the bound's sum for rows, (num, B)."""
    if isinstance(model.kernel, Absorbing):
        places = MaskedPlaces.of(model, T)
        ks = places.drawn(num, x.shape[0], generator)
        found = [by_masked_places(model, x, signal, k, generator) for k in ks]
        return places.total * torch.stack(found)
    if T is None:
        parts = itertools.pairwise([i / num for i in range(num + 1)])
        return torch.stack([_at_time(model, x, signal, part, generator) for part in parts])
    edges = [T * i // num for i in range(num + 1)]
    steps = [
        num * (b - a) * _at_step(model, x, signal, (a + 1, b + 1), T, generator)
        for a, b in itertools.pairwise(edges)
    ]
    return torch.stack(steps)


@dataclass(frozen=True)
class MaskedPlaces:
    """The weights of the numbers k of masked places, exact over t.

    Given k, all choices of k places are equally likely at every time, and p(x_0 | x_t) does not
    depend on t. So the bound is Σ_k c_k E[Σ −log p(x_i | rest) over the k masked places i], where

        c_k = Σ_i (α_{i−1} − α_i) / (1 − α_i) Binomial(k; D, 1 − α_i)

    for T steps. In continuous time it is 1 / k for every schedule: the bound of a model that draws
    its places one at a time in random order.

    | Your Absorbing Discrete Diffusion Secretly Models the Conditional Distributions of Clean Data
    | (Ou et al., 2025)
    | A Deep and Tractable Density Estimator (Uria, Murray, Larochelle, 2014), for the random order

    Arguments:
        weights: k c_k for k = 1, …, D, in float64.
    """

    weights: Tensor

    @classmethod
    def of(cls, model: DiscreteDiffusion, T: int | None) -> MaskedPlaces:
        """Return the weights of a model with T steps, or in continuous time."""
        D = model.event.num_dims
        k = torch.arange(1, D + 1, dtype=torch.float64)
        if T is None:
            return cls(torch.ones(D, dtype=torch.float64))
        alpha = model.schedule.grid(T)
        replaced = (1 - alpha[1:])[:, None]
        log_choose = math.lgamma(D + 1) - torch.lgamma(k + 1) - torch.lgamma(D - k + 1)
        log_law = log_choose + torch.xlogy(k, replaced) + torch.special.xlog1py(D - k, -replaced)
        weight = (alpha[:-1] - alpha[1:])[:, None] / replaced
        return cls(k * (weight * log_law.exp()).sum(0))

    @property
    def total(self) -> float:
        """Σ_k k c_k; D in continuous time."""
        return float(self.weights.sum())

    def drawn(self, num: int, rows: int, generator: torch.Generator) -> Tensor:
        """Return numbers k with probabilities proportional to k c_k, (num, rows).

        They are drawn from ``num`` equal parts of the distribution, one each.
        """
        device = generator.device
        u = torch.rand(num, rows, generator=generator, device=device, dtype=torch.float64)
        parts = (torch.arange(num, device=device)[:, None] + u) / num
        ends = (self.weights.cumsum(0) / self.weights.sum()).to(device, non_blocking=True)
        return (torch.searchsorted(ends, parts) + 1).clamp(max=len(self.weights))


def by_masked_places(
    model: DiscreteDiffusion, x: Tensor, signal: Signal, k: Tensor, generator: torch.Generator
) -> Tensor:
    """Return −log p(x_i | rest), averaged over k randomly chosen masked places i, (B,).

    Arguments:
        model: A model with the absorbing kernel.
        x: Rows (B, *event_shape).
        signal: The signal of their conditions.
        k: The number of masked places of each row, (B,).
        generator: The generator of the choice of places.
    """
    kernel: Any = model.kernel
    chosen = chosen_places(k, math.prod(x.shape[1:]), generator).view(x.shape)
    x_t = x.masked_fill(chosen, kernel.mask)
    t = torch.zeros(x.shape[0], device=x.device, dtype=model.dtype)
    surprise = kernel.surprise(x, x_t, model.log_denoised(x_t, t, signal))
    found: Tensor = surprise.flatten(1).sum(1) / k
    return found


def chosen_places(k: Tensor, num_places: int, generator: torch.Generator) -> Tensor:
    """Return which k of the places are chosen, uniformly, (B, D) bool, for k (B,)."""
    u = torch.rand(k.shape[0], num_places, generator=generator, device=k.device)
    return u.argsort(1).argsort(1) < k[:, None]


def _at_step(
    model: DiscreteDiffusion,
    x: Tensor,
    signal: Signal,
    part: tuple[int, int],
    T: int,
    generator: torch.Generator,
) -> Tensor:
    """Return the divergence of a step i that is drawn from a range, (B,)."""
    i = torch.randint(*part, (x.shape[0],), generator=generator, device=x.device)
    return step_divergence(model, x, signal, i, T, generator)


def step_divergence(
    model: DiscreteDiffusion,
    x: Tensor,
    signal: Signal,
    i: Tensor,
    T: int,
    generator: torch.Generator,
) -> Tensor:
    """Return KL(q(x_{t_{i−1}} | x_{t_i}, x_0) ‖ p(x_{t_{i−1}} | x_{t_i})) at one draw of x_{t_i}.

    Arguments:
        model: The model.
        x: Rows (B, *event_shape).
        signal: The signal of their conditions.
        i: The step of each row, from 1 to T, (B,).
        T: The number of steps.
        generator: The generator of the states.
    """
    alpha = model.schedule.grid(T).to(x.device, torch.float64, non_blocking=True)
    a_s, a_t = (_wide(alpha[j], x) for j in (i - 1, i))
    x_t = model.kernel.noised(x, a_t, generator)
    log_p = model.log_denoised(x_t, i.double() / T, signal)
    return model.kernel.divergence(x, x_t, log_p, a_s, a_t).to(log_p.dtype)


def _at_time(
    model: DiscreteDiffusion,
    x: Tensor,
    signal: Signal,
    part: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Return the rate at t = u², times 2 u, at one u from a part of [0, 1], (B,).

    Near t = 0 a replaced place has a rate of about 1 / t with a probability of about t. With
    t = u² its square has a finite mean.
    """
    u = torch.rand(x.shape[0], generator=generator, device=x.device, dtype=torch.float64)
    u = part[0] + (part[1] - part[0]) * u
    t = (u * u).clamp(max=_LARGEST_T)
    return (2 * u * rate_at(model, x, signal, t, generator)).to(model.dtype)


def rate_at(
    model: DiscreteDiffusion, x: Tensor, signal: Signal, t: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the rate of the divergence at times t (B,), float64, at one draw of x_t, (B,)."""
    schedule = model.schedule
    alpha = _wide(schedule.alpha(t), x)
    x_t = model.kernel.noised(x, alpha, generator)
    log_p = model.log_denoised(x_t, t, signal)
    return model.kernel.rate(x, x_t, log_p, alpha, _wide(schedule.slope(t), x))


def _wide(values: Tensor, like: Tensor) -> Tensor:
    """Return values (B,) as (B, 1, …)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _standard_error(draws: Tensor) -> Tensor:
    """Return the standard error of the mean of stratified draws (num, B), one from each part.

    Half the squared difference of neighbours estimates the variance within a part, and is too
    large by the difference of their means. One draw has no known error.
    """
    num = draws.shape[0]
    if num < 2:
        return torch.full_like(draws[0], float("nan"))
    halves = (draws[1:] - draws[:-1]).square().sum(0) / (2 * (num - 1))
    return (halves / num).sqrt()


def _note(model: DiscreteDiffusion, T: int | None, num: int) -> Note:
    chain = "continuous time" if T is None else f"{T} steps"
    what = "numbers of masked places" if isinstance(model.kernel, Absorbing) else "times"
    return Note(
        "variational-bound",
        f"Variational bound in {chain}, estimated without bias at {num} {what} for each row.",
    )
