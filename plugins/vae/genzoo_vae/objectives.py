"""Objectives of VAEs: the evidence lower bound and the importance-weighted bound."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import Batch, Bounds, Config, Goal, Loss, Meaning, Objective, Step
from genzoo_vae.bounds import Terms, terms
from genzoo_vae.collapse import active_units, is_due, warn_if_collapsed
from genzoo_vae.vae import VAE

_Rate = Annotated[float, Bounds(0.0, 1e3)]


@dataclass(frozen=True, kw_only=True)
class BoundConfig(Config):
    """A bound at codes that are drawn."""

    lr: _Rate = 1e-3
    """The learning rate of Adam."""
    num_samples: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of codes per example."""


@dataclass(frozen=True, kw_only=True)
class ELBOConfig(BoundConfig):
    """The evidence lower bound."""

    kl_weight: Annotated[float, Bounds(0.0, 1e6)] = 1.0
    """The weight of the KL term, the β of a β-VAE; the objective is a bound of log p(x) only at
    1."""
    kl_warmup: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The share of training over which this weight rises from zero."""
    free_bits: Annotated[float, Bounds(0.0, 1e6)] = 0.0
    """The free nats of KL per dimension of z, averaged over the batch."""


C = TypeVar("C", bound=BoundConfig)


class _Bound(Objective[C], abc.ABC):
    """Abstract base class: the negative of a bound on log p(x) from codes z ~ q(z | x)."""

    requires = (VAE,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "reconstruction": Meaning(
            "log p(x | z) of the examples at codes drawn from the encoder",
            unit="nats",
            goal=Goal("higher"),
            healthy="it rises fast, then slowly",
        ),
        "kl": Meaning(
            "KL divergence of the codes from their prior: what the codes say about x",
            unit="nats",
            goal=Goal("none"),
            healthy="it rises at first, then is steady; at 0 the codes say nothing (collapse)",
        ),
        "elbo": Meaning(
            "evidence lower bound, reconstruction minus KL: a lower bound on log p(x)",
            unit="nats",
            goal=Goal("higher"),
            healthy="it rises fast, then slowly; held out, it falls when the model overfits",
        ),
        "active_units": Meaning(
            "dimensions of the codes whose mean differs between examples",
            unit="of the dimensions of z",
            goal=Goal("none"),
            healthy="it settles above 0; at 0 the codes say nothing",
        ),
    }
    model: VAE

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the negative bound."""
        x, y = batch["x"], self.model.vectors(self.model.conditions_of(batch))
        eps = _noise(self.model, self.config.num_samples, len(x), step.generator)
        found = terms(self.model, x, eps, y)
        value = self._value(found, step)
        shown = step.logged or is_due(step)
        yield Loss(value, metrics=_metrics(self.model, found, step) if shown else {})

    @abc.abstractmethod
    def _value(self, found: Terms, step: Step) -> Tensor:
        """Return the negative bound, a scalar, from its terms."""


class ELBO(_Bound[ELBOConfig]):
    """The evidence bound: minimises −E_q[log p(x | z)] + β Σ_j max(λ, KL(q(z_j | x) ‖ p(z_j))).

    The expectation is over z = μ(x) + σ(x) ε, which is differentiable; the KL divergence is ½ Σ_j
    (μ² + σ² − 1 − log σ²)_j. β rises over the warm-up, λ are the free bits.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | Generating Sentences from a Continuous Space (Bowman et al., 2016)
    | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)
    """

    Config = ELBOConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **_Bound.meanings,
        "loss": Meaning(
            "negative evidence bound, with the weight of its KL term; without weights and free "
            "bits an upper bound on −log p(x)",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly; during a warm-up of the KL term it may rise",
        ),
    }

    def _value(self, found: Terms, step: Step) -> Tensor:
        cost = found.kl.mean(0).clamp_min(self.config.free_bits).sum()
        return self._kl_weight(step) * cost - found.reconstruction.mean()

    def _kl_weight(self, step: Step) -> float:
        """Return β at a step; it rises linearly until the end of the warm-up."""
        ramp = self.config.kl_warmup * step.total
        return float(self.config.kl_weight * min(1.0, (step.index + 1) / max(ramp, 1.0)))


@dataclass(frozen=True, kw_only=True)
class IWAEConfig(BoundConfig):
    """The importance-weighted bound."""

    num_samples: Annotated[int, Bounds(1, 10**6)] = 5
    """k, the number of codes per example."""


class IWAE(_Bound[IWAEConfig]):
    """The importance-weighted bound: minimises −E[log (1/k) Σ_i p(x, z_i) / q(z_i | x)].

    For larger k, the bound is nearer to −log p(x).

    | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)
    """

    Config = IWAEConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **_Bound.meanings,
        "loss": Meaning(
            "negative importance-weighted bound: an upper bound on −log p(x)",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly",
        ),
    }

    def _value(self, found: Terms, step: Step) -> Tensor:
        bound = found.log_weights.logsumexp(0) - math.log(self.config.num_samples)
        return -bound.mean()


@torch.no_grad()
def _metrics(model: VAE, found: Terms, step: Step) -> dict[str, Tensor]:
    """Return both terms of the bound and the number of active dimensions of z; warn if it is 0."""
    reconstruction, kl = found.reconstruction.mean(), found.kl.sum(1).mean()
    active = active_units(found.mean)
    if is_due(step):
        warn_if_collapsed(active, model.config.latent_dim, step)
    return {
        "reconstruction": reconstruction,
        "kl": kl,
        "elbo": reconstruction - kl,
        "active_units": active,
    }


def _noise(model: VAE, num: int, rows: int, generator: torch.Generator) -> Tensor:
    shape = (num, rows, model.config.latent_dim)
    return torch.randn(shape, generator=generator, device=model.device, dtype=model.dtype)
