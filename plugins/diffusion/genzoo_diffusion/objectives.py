"""The objectives of diffusion models: denoising and the variational bound."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Config,
    ConfigError,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.diffusion import Diffusion
from genzoo_diffusion.parameterization import Parameterization
from genzoo_diffusion.schedule import NoiseSchedule
from genzoo_diffusion.vlb import Bound

_Rate = Annotated[float, Bounds(0.0, 1e3)]


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(Config):
    """The weighted denoising error."""

    lr: _Rate = 2e-4
    """The learning rate of Adam."""
    weighting: Literal["uniform", "snr", "min-snr"] = "uniform"
    """λ_t: 1, or the weight that makes the error that of x₀ times the signal-to-noise ratio, which
    may be limited to γ."""
    gamma: Annotated[float, Bounds(1e-3, 1e6)] = 5.0
    """γ of min-snr."""
    times: Literal["uniform", "log-normal"] = "uniform"
    """The distribution of the times: uniform, or such that σ = √(1 − ᾱ) / √ᾱ is log-normal."""
    log_sigma_mean: Annotated[float, Bounds(-20.0, 20.0)] = -1.2
    """The mean of ln σ for "log-normal"."""
    log_sigma_std: Annotated[float, Bounds(1e-2, 1e2)] = 1.2
    """The standard deviation of ln σ for "log-normal"."""


@dataclass(frozen=True, kw_only=True)
class VLBConfig(Config):
    """The variational bound."""

    lr: _Rate = 2e-4
    """The learning rate of Adam."""


C = TypeVar("C", bound=Config)


class _AtRandomTimes(Objective[C], abc.ABC):
    """Abstract base class of losses at one random time of each example."""

    requires: ClassVar[tuple[type, ...]] = (Diffusion,)
    model: Diffusion

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the examples."""
        x_0, generator = self.model.state(batch["x"]), step.generator
        t = self._times(len(x_0), generator, x_0.device)
        epsilon = torch.randn(x_0.shape, generator=generator, device=x_0.device, dtype=x_0.dtype)
        yield self._loss(x_0, epsilon, t, self.model.training_signal(batch, generator))

    def _times(self, num: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Return ``num`` random times; uniform ones by default."""
        T = len(self.model.schedule)
        return torch.randint(T, (num,), generator=generator, device=device)

    @abc.abstractmethod
    def _loss(self, x_0: Tensor, epsilon: Tensor, t: Tensor, signal: Signal) -> Loss:
        """Return the loss at times t, (B,)."""


class Denoising(_AtRandomTimes[DenoisingConfig]):
    """Denoising: minimises E λ_t ‖f(x_t, t) − target‖² / D, with the target ε, x_0, v or EDM's F.

    λ_t is 1, or the weight that makes the error that of x_0 times SNR or min(SNR, γ). Times are
    uniform or have log-normal σ; EDM's loss is that with F and λ_t = 1.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020)
    | Efficient Diffusion Training via Min-SNR Weighting Strategy (Hang et al., 2023)
    | Elucidating the Design Space of Diffusion-Based Generative Models
    | (Karras, Aittala, Aila, Laine, 2022), for log-normal σ

    Raises:
        ConfigError: Times are log-normal, and the schedule has an infinite σ.
    """

    Config = DenoisingConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "weighted squared error of the network's prediction at random noise levels, a mean "
            "over values",
            goal=Goal("lower"),
            healthy="it falls fast, then is noisy and nearly flat while samples still improve",
        ),
        "error": Meaning(
            "squared error of the prediction without weights; for noise, predicting 0 gives 1",
            goal=Goal("lower", 0.0),
            healthy="it falls fast, then is noisy and nearly flat while samples still improve",
        ),
    }

    def __init__(self, model: Diffusion, config: Any = None) -> None:
        super().__init__(model, config)
        weight = WEIGHTINGS[self.config.weighting](
            model.schedule.snr, model.parameterization, self.config.gamma
        )
        self.register_buffer("weight", weight.to(model.alpha), persistent=False)
        cumulative = None
        if self.config.times == "log-normal":
            mean, std = self.config.log_sigma_mean, self.config.log_sigma_std
            chances = log_normal_times(model.schedule, mean, std)
            # In half precision, neighbouring times would be merged.
            cumulative = chances.cumsum(0).float().to(model.device)
        self.register_buffer("cumulative", cumulative, persistent=False)

    weight: Tensor
    cumulative: Tensor | None

    def _times(self, num: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Return times by the inverse of their distribution, which a GPU need not wait for."""
        if self.cumulative is None:
            return super()._times(num, generator, device)
        u = torch.rand(num, generator=generator, device=device, dtype=self.cumulative.dtype)
        found = torch.searchsorted(self.cumulative, u, right=True)
        # The sum of all probabilities may round to less than 1.
        return found.clamp_max(len(self.cumulative) - 1)

    def _loss(self, x_0: Tensor, epsilon: Tensor, t: Tensor, signal: Signal) -> Loss:
        a, s = self.model.coefficients(t, x_0)
        target = self.model.parameterization.target(x_0, epsilon, a, s)
        output = self.model.predict(a * x_0 + s * epsilon, t, signal)
        error = (output - target).square().flatten(1).mean(1)
        return Loss((self.weight[t] * error).mean(), metrics={"error": error.detach().mean()})


class VLB(_AtRandomTimes[VLBConfig]):
    """The variational bound on −log p(x): minimises T times its term at a random time.

    The variances are fixed; the term of the prior is constant and only logged.

    | Improved Denoising Diffusion Probabilistic Models (Nichol, Dhariwal, 2021)
    """

    Config = VLBConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "terms of the variational bound at random times, times their number",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls, and is noisy, because the terms differ much between times",
        ),
        "vlb": Meaning(
            "variational bound: an upper bound on −log p(x)", unit="nats", goal=Goal("lower")
        ),
        "bits_per_dimension": Meaning(
            "the same bound for each value of x", unit="bits/dim", goal=Goal("lower")
        ),
    }
    requires = (DDPM,)
    model: DDPM

    def _loss(self, x_0: Tensor, epsilon: Tensor, t: Tensor, signal: Signal) -> Loss:
        bound = Bound(self.model)
        value = len(self.model.schedule) * bound.terms(x_0, epsilon, t, signal).mean()
        nats = value.detach() + bound.prior(x_0).mean()
        bits = nats / (math.prod(self.model.event_shape) * math.log(2))
        return Loss(value, metrics={"vlb": nats, "bits_per_dimension": bits})


def log_normal_times(schedule: NoiseSchedule, mean: float, std: float) -> Tensor:
    """Return the probability of each time, (T,), with which σ is log-normal on the grid.

    It is proportional to the normal density of ln σ times the grid's spacing there.

    Raises:
        ConfigError: The schedule has an infinite σ.
    """
    log_sigma = schedule.log_sigma
    if not bool(torch.isfinite(log_sigma).all()):
        raise ConfigError(
            "times='log-normal' is for finite σ; that of the last time is infinite on this "
            "schedule. Use times='uniform', or a model with another schedule, such as 'karras'."
        )
    steps = log_sigma.diff()
    ends = steps.new_zeros(1)
    spacing = (torch.cat([steps, ends]) + torch.cat([ends, steps])) / 2
    return (spacing.log() - ((log_sigma - mean) / std).square() / 2).softmax(0)


def uniform(snr: Tensor, kind: Parameterization, gamma: float) -> Tensor:
    """Return 1."""
    return torch.ones_like(snr)


def by_snr(snr: Tensor, kind: Parameterization, gamma: float) -> Tensor:
    """Return the weight that makes the error SNR ‖x_0 − x̂_0‖²: 1 if ε is predicted."""
    return snr * kind.x_0_error(snr)


def by_min_snr(snr: Tensor, kind: Parameterization, gamma: float) -> Tensor:
    """Return the weight that makes the error min(SNR, γ) ‖x_0 − x̂_0‖²."""
    return snr.clamp(max=gamma) * kind.x_0_error(snr)


WEIGHTINGS: dict[str, Callable[[Tensor, Parameterization, float], Tensor]] = {
    "uniform": uniform,
    "snr": by_snr,
    "min-snr": by_min_snr,
}
