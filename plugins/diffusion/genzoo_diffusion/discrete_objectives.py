"""The objectives of discrete diffusion: the bound of T steps, and that of continuous time."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    Goal,
    Loss,
    Meaning,
    Objective,
    Step,
)
from genzoo_diffusion.conditioning import Signal
from genzoo_diffusion.discrete_bound import (
    MaskedPlaces,
    by_masked_places,
    prior_term,
    rate_at,
    step_divergence,
)
from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion
from genzoo_diffusion.discrete_kernels import Absorbing

_Rate = Annotated[float, Bounds(0.0, 1e3)]
DEFAULT_TIMESTEPS = 1000
_LARGEST_T = 0.9999


@dataclass(frozen=True, kw_only=True)
class ContinuousTimeConfig(Config):
    """The bound of continuous time."""

    lr: _Rate = 1e-3
    """The learning rate of AdamW."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay of AdamW."""


@dataclass(frozen=True, kw_only=True)
class DiscreteTimeConfig(ContinuousTimeConfig):
    """The bound of T steps."""

    num_timesteps: Annotated[int | None, Bounds(1, 10**5)] = None
    """T; by default the model's own number, or 1,000 if its time is continuous."""


C = TypeVar("C", bound=ContinuousTimeConfig)


class _Bound(Objective[C], abc.ABC):
    """Abstract base class of unbiased estimates of the variational bound, one state for each row.

    Rows of a batch are spread over the times: the parts of [0, 1] are assigned to them at random.
    """

    requires: ClassVar[tuple[type, ...]] = (DiscreteDiffusion,)
    model: DiscreteDiffusion
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "variational bound on −log p(x), estimated at one random state for each row",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly, and is noisy",
        ),
        "bits_per_dimension": Meaning(
            "the same bound for each value of x", unit="bits/dim", goal=Goal("lower")
        ),
    }

    @classmethod
    def optimizers(cls, config: Any) -> Mapping[str, Component]:
        """Return AdamW."""
        values = {"lr": config.lr, "weight_decay": config.weight_decay}
        return {"model": Component(name="adamw", config=values)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean over the rows."""
        x, generator = self.model.state(batch["x"]), step.generator
        signal = self.model.training_signal(batch, generator)
        value = self._terms(x, signal, generator).mean() + prior_term(self.model)
        bits = value.detach() / (self.model.event.num_dims * math.log(2))
        yield Loss(value, metrics={"bits_per_dimension": bits})

    @abc.abstractmethod
    def _terms(self, x: Tensor, signal: Signal, generator: torch.Generator) -> Tensor:
        """Return an unbiased estimate of the bound of each row, (B,), without the prior's term."""

    def _masked(
        self, places: MaskedPlaces, x: Tensor, signal: Signal, generator: torch.Generator
    ) -> Tensor:
        """Return the estimate of an absorbing kernel at one number of places for each row."""
        k = places.drawn(x.shape[0], 1, generator).squeeze(1)
        k = k[torch.randperm(x.shape[0], generator=generator, device=k.device)]
        return places.total * by_masked_places(self.model, x, signal, k, generator)


class ContinuousTimeBound(_Bound[ContinuousTimeConfig]):
    """The bound of continuous time: minimises D E_k[mean −log p(x_i | rest)], or E_t of the rate.

    With the absorbing kernel, k masked places are drawn, k uniform on 1, …, D. With the uniform
    kernel, t = u² with u uniform.

    | Simplified and Generalized Masked Diffusion for Discrete Data (Shi et al., 2024)
    | Simple Guidance Mechanisms for Discrete Diffusion Models (Schiff et al., 2025)
    """

    Config = ContinuousTimeConfig

    def _terms(self, x: Tensor, signal: Signal, generator: torch.Generator) -> Tensor:
        if isinstance(self.model.kernel, Absorbing):
            return self._masked(MaskedPlaces.of(self.model, None), x, signal, generator)
        u = _spread(x.shape[0], generator)
        t = (u * u).clamp(max=_LARGEST_T)
        return (2 * u * rate_at(self.model, x, signal, t, generator)).to(self.model.dtype)


class DiscreteTimeBound(_Bound[DiscreteTimeConfig]):
    """The bound of T steps: minimises T E_i KL(q(x_{i−1} | x_i, x_0) ‖ p(x_{i−1} | x_i)).

    With the absorbing kernel, the number of masked places is drawn with weights that are exact
    over i.

    | Structured Denoising Diffusion Models in Discrete State-Spaces (Austin et al., 2021)
    """

    Config = DiscreteTimeConfig

    def __init__(self, model: DiscreteDiffusion, config: Any = None) -> None:
        super().__init__(model, config)
        given = self.config.num_timesteps or model.config.num_timesteps
        self.num_timesteps: int = given or DEFAULT_TIMESTEPS
        absorbing = isinstance(model.kernel, Absorbing)
        self.places = MaskedPlaces.of(model, self.num_timesteps) if absorbing else None

    def _terms(self, x: Tensor, signal: Signal, generator: torch.Generator) -> Tensor:
        if self.places is not None:
            return self._masked(self.places, x, signal, generator)
        T = self.num_timesteps
        i = (_spread(x.shape[0], generator) * T).long().clamp(max=T - 1) + 1
        return T * step_divergence(self.model, x, signal, i, T, generator)


def _spread(num: int, generator: torch.Generator) -> Tensor:
    """Return numbers in [0, 1), float64, one in each of ``num`` equal parts, in random order."""
    device = generator.device
    u = torch.rand(num, generator=generator, device=device, dtype=torch.float64)
    order = torch.randperm(num, generator=generator, device=device)
    return (order + u) / num
