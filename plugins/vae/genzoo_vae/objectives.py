"""Objectives of models with latents: the evidence bound and the importance-weighted bound."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    ConfigError,
    Goal,
    Group,
    Loss,
    Meaning,
    Model,
    Objective,
    Step,
    make,
)
from genzoo_vae.auxiliary import AuxiliaryDecoder
from genzoo_vae.collapse import active_units, is_due, warn_if_collapsed
from genzoo_vae.condition_vectors import num_values
from genzoo_vae.estimators.aggregates import Aggregate, LogMeanExp, Mean
from genzoo_vae.estimators.estimator import (
    GROUP,
    Estimated,
    Estimator,
    Problem,
    Subject,
    default_estimator,
)
from genzoo_vae.latents import Integrand, LatentModel, check_relaxed
from genzoo_vae.network_values import network_shape
from genzoo_vae.posteriors.proposal import Proposal, Recognised, Rows

Rate = Annotated[float, Bounds(0.0, 1e3)]


@dataclass(frozen=True, kw_only=True)
class BoundConfig(Config):
    """A bound at codes that are drawn."""

    lr: Rate = 1e-3
    """The learning rate of Adam."""
    num_samples: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of codes per example."""
    estimator: Annotated[Component, Group(GROUP)] | None = None
    """How the gradient passes the draws; by default reparameterised for continuous latents,
    score-function for discrete ones."""


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
    auxiliary_weight: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight of an auxiliary loss, −log p of x under a decoder with independent values given z
    that learns along and is not stored. It keeps a decoder from doing without z."""


C = TypeVar("C", bound=BoundConfig)


@dataclass(frozen=True)
class Terms:
    """The terms of a bound at draws of an estimator, for its loss and its figures.

    Arguments:
        found: The estimate.
        integrand: What was estimated.
        loss: The loss with all terms, a scalar.
        kl: The KL term in closed form, (B, D); None if it is that of the draws.
    """

    found: Estimated
    integrand: Integrand
    loss: Tensor
    kl: Tensor | None = None


class Bound(Objective[C], abc.ABC):
    """Abstract base class: the negative of a bound on log p(x) from draws z ~ q(z | x).

    An optimised posterior is fixed while p learns. If it starts from recognition networks, these
    learn by the same bound at their own q.

    Raises:
        CapabilityError: The estimator does not serve the model.
    """

    requires = (LatentModel,)
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
    aggregate: ClassVar[Aggregate]
    model: LatentModel[Any]

    def __init__(self, model: Model[Any], config: C | None = None) -> None:
        super().__init__(model, config)
        num_inputs = math.prod(network_shape(self.model.event)) + num_values(self.model.conditions)
        subject = Subject(self.model.families, self.config.num_samples, num_inputs)
        component = self.config.estimator or default_estimator(subject)
        self.estimator: Estimator[Any] = make(GROUP, component, subject)
        check_relaxed(self.estimator, self.model)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the negative bound."""
        model = self.model
        rows = Rows(batch["x"], model.vectors(model.conditions_of(batch)))
        found = self.terms(rows, model.inference.proposal(model, rows, step), step)
        shown = step.logged or is_due(step)
        yield Loss(
            found.loss,
            metrics=_metrics(found, step, self.estimator) if shown else {},
            gradients=self._recognition_gradients(rows, step),
        )

    def estimated(self, integrand: Integrand, step: Step) -> Estimated:
        """Return the estimate of the expectation of an integrand."""
        problem = Problem(integrand, self.config.num_samples, self.aggregate, step, self)
        return self.estimator.estimate(problem)

    @abc.abstractmethod
    def terms(self, rows: Rows, proposal: Proposal, step: Step) -> Terms:
        """Return the negative bound and its terms for q."""

    def _recognition_gradients(self, rows: Rows, step: Step) -> Mapping[nn.Parameter, Tensor]:
        """Return the gradients of recognition networks that only give an ascent its start."""
        inference = self.model.inference
        if not (inference.is_optimised and inference.is_recognised and torch.is_grad_enabled()):
            return {}
        loss = self.terms(rows, Recognised(self.model, rows), step).loss
        parameters = [p for p in self.model.recognition_parameters() if p.requires_grad]
        return dict(zip(parameters, torch.autograd.grad(loss, parameters), strict=True))


class ELBO(Bound[ELBOConfig]):
    """The evidence bound: minimises −E_q[log p(x | z)] + β Σ_j max(λ, KL(q(z_j | x) ‖ p(z_j))).

    The gradient passes the expectation by an estimator, such as z = μ(x) + σ(x) ε for normal
    codes. The KL divergence has a closed form for one layer of codes, such as ½ Σ_j (μ² + σ² − 1 −
    log σ²)_j; else it is log q(z | x) − log p(z) at the draws. β rises over the warm-up, λ are the
    free bits.

    | Auto-Encoding Variational Bayes (Kingma, Welling, 2014)
    | Generating Sentences from a Continuous Space (Bowman et al., 2016)
    | Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)
    | Auxiliary Guided Autoregressive Variational Autoencoders (Lucas, Verbeek, 2018)
    """

    Config = ELBOConfig
    aggregate = Mean()
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Bound.meanings,
        "loss": Meaning(
            "negative evidence bound, with the weight of its KL term; without weights and free "
            "bits an upper bound on −log p(x)",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly; during a warm-up of the KL term it may rise",
        ),
    }

    def __init__(self, model: Model[Any], config: ELBOConfig | None = None) -> None:
        super().__init__(model, config)
        if self.config.free_bits and not self._has_closed_kl:
            raise ConfigError(
                f"Free bits need the KL divergence of each latent in closed form, got free_bits = "
                f"{self.config.free_bits} for {type(model).__name__} with the estimator "
                f"{self.estimator.title}. Leave free_bits at 0, or use kl_warmup."
            )
        self.auxiliary = None
        if self.config.auxiliary_weight:
            self.auxiliary = AuxiliaryDecoder(self.model, self.config.auxiliary_weight)

    @property
    def _has_closed_kl(self) -> bool:
        return self.model.has_closed_kl and not self.estimator.samples_kl

    def terms(self, rows: Rows, proposal: Proposal, step: Step) -> Terms:
        """Return the negative bound, with the weight of its KL term."""
        weight, closed = self._kl_weight(step), self._has_closed_kl and not proposal.is_prior
        integrand = Integrand(self.model, rows, proposal, closed, weight, self.auxiliary)
        found = self.estimated(integrand, step)
        if not closed:
            return Terms(found, integrand, found.loss)
        kl = self.model.kl(found.draws.layers[0].parameters, rows.y)[0]
        cost = kl.mean(0).clamp_min(self.config.free_bits).sum()
        return Terms(found, integrand, found.loss + weight * cost, kl)

    def _kl_weight(self, step: Step) -> float:
        """Return β at a step; it rises linearly until the end of the warm-up."""
        ramp = self.config.kl_warmup * step.total
        return float(self.config.kl_weight * min(1.0, (step.index + 1) / max(ramp, 1.0)))


@dataclass(frozen=True, kw_only=True)
class IWAEConfig(BoundConfig):
    """The importance-weighted bound."""

    num_samples: Annotated[int, Bounds(1, 10**6)] = 5
    """k, the number of codes per example."""


class IWAE(Bound[IWAEConfig]):
    """The importance-weighted bound: minimises −E[log (1/k) Σ_i p(x, z_i) / q(z_i | x)].

    For larger k, the bound is nearer to −log p(x).

    | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)
    """

    Config = IWAEConfig
    aggregate = LogMeanExp()
    meanings: ClassVar[Mapping[str, Meaning]] = {
        **Bound.meanings,
        "loss": Meaning(
            "negative importance-weighted bound: an upper bound on −log p(x)",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly",
        ),
    }

    def terms(self, rows: Rows, proposal: Proposal, step: Step) -> Terms:
        """Return the negative bound."""
        integrand = Integrand(self.model, rows, proposal)
        found = self.estimated(integrand, step)
        return Terms(found, integrand, found.loss)


@torch.no_grad()
def _metrics(terms: Terms, step: Step, estimator: Estimator[Any]) -> dict[str, Tensor]:
    """Return both terms of the bound and the number of active latents; warn if it is 0."""
    draws, integrand = terms.found.draws, terms.integrand
    if not estimator.draws_codes:  # At relaxed codes the terms are not those of a bound.
        draws = integrand.drawn(len(draws.z[0]), step.generator)
    if terms.kl is None or integrand.extra is not None or not estimator.draws_codes:
        reconstruction, kl = integrand.apart(draws)
    else:
        reconstruction = terms.found.values.mean()
    if terms.kl is not None:
        kl = terms.kl.sum(1).mean()
    means = [layer.family.mean(layer.parameters)[0] for layer in draws.layers]
    active = torch.stack([active_units(mean) for mean in means]).sum()
    # What is drawn from the prior does not depend on x, as was asked for.
    if is_due(step) and not integrand.proposal.is_prior:
        warn_if_collapsed(active, sum(layer.family.size for layer in draws.layers), step)
    return {
        "reconstruction": reconstruction,
        "kl": kl,
        "elbo": reconstruction - kl,
        "active_units": active,
    }
