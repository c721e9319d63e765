"""The wake-sleep algorithm, and its reweighted form: two players."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    CapabilityError,
    Component,
    Config,
    Goal,
    Loss,
    Meaning,
    Model,
    Objective,
    Step,
)
from genzoo_vae.enumeration import log_q
from genzoo_vae.estimators.expectation import Draws
from genzoo_vae.latents import Integrand, LatentModel
from genzoo_vae.objectives import Rate
from genzoo_vae.posteriors.proposal import Recognised, Rows

GENERATIVE, RECOGNITION = "generative", "recognition"


@dataclass(frozen=True, kw_only=True)
class WakeSleepConfig(Config):
    """Wake-sleep."""

    lr: Rate = 1e-3
    """The learning rate of Adam, for both players."""


C = TypeVar("C", bound=WakeSleepConfig)


class TwoPhases(Objective[C], abc.ABC):
    """Abstract base class: p learns with draws of q, then q learns.

    Raises:
        CapabilityError: The model has no recognition networks, or optimises its posterior.
    """

    requires = (LatentModel,)
    model: LatentModel[Any]

    def __init__(self, model: Model[Any], config: C | None = None) -> None:
        super().__init__(model, config)
        inference = self.model.inference
        if inference.is_optimised or not inference.is_recognised:
            raise CapabilityError(
                f"{type(self).__name__} trains recognition networks, but the posterior of this "
                f"{type(model).__name__} is {inference.title}. Use posterior='amortised'."
            )

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters of p and those of q."""
        found = {id(p) for p in self.model.recognition_parameters()}
        trained = [p for p in self.parameters() if p.requires_grad]
        return {
            GENERATIVE: [p for p in trained if id(p) not in found],
            RECOGNITION: [p for p in trained if id(p) in found],
        }

    @classmethod
    def optimizers(cls, config: WakeSleepConfig) -> Mapping[str, Component]:
        """Return Adam for both."""
        adam = Component(name="adam", config={"lr": config.lr})
        return {GENERATIVE: adam, RECOGNITION: adam}

    def rows(self, batch: Batch) -> Rows:
        """Return the examples of a batch with their conditions."""
        return Rows(batch["x"], self.model.vectors(self.model.conditions_of(batch)))

    def recognised(self, rows: Rows, num: int, step: Step) -> tuple[Integrand, Draws]:
        """Return fixed draws of q, (K, B), and the integrand that they belong to."""
        integrand = Integrand(self.model, rows, Recognised(self.model, rows))
        with torch.no_grad():
            return integrand, integrand.drawn(num, step.generator)

    def sleep(self, rows: Rows, step: Step) -> Tensor:
        """Return −log q(z | x), a mean, of x and z drawn from the model."""
        model = self.model
        with torch.no_grad():
            top = model.draw_top(len(rows.x), rows.y, step.generator)
            x, *z = model.draw_below(top, rows.y, step.generator)
        dreamt = Recognised(model, Rows(x, rows.y))
        return -log_q(dreamt, tuple(layer[None] for layer in z)).mean()


class WakeSleep(TwoPhases[WakeSleepConfig]):
    """Wake-sleep: p minimises −log p(x, z), z ~ q(z | x); q minimises −log q(z | x), x, z ~ p.

    The first is the gradient of the evidence bound by the parameters of p. The second is that of
    KL(p(z | x) ‖ q(z | x)) over x of the model, the other way round than in the bound, so there is
    no single objective that both minimise.

    | The Wake-Sleep Algorithm for Unsupervised Neural Networks
    | (Hinton, Dayan, Frey, Neal, 1995)
    """

    Config = WakeSleepConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "generative/loss": Meaning(
            "−log p(x, z) at draws of the recognition networks",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly",
        ),
        "recognition/loss": Meaning(
            "−log q(z | x) of what the model draws",
            unit="nats",
            goal=Goal("none"),
            healthy="it falls, and may rise again as the latents say more",
        ),
        "elbo": Meaning(
            "evidence lower bound at the same draws",
            unit="nats",
            goal=Goal("higher"),
            healthy="it rises fast, then slowly",
        ),
    }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the loss of the wake phase, then that of the sleep phase."""
        rows = self.rows(batch)
        integrand, draws = self.recognised(rows, 1, step)
        z = integrand.by_level(draws)
        log_p = self.model.log_likelihood(rows, z[0]) + self.model.log_prior(z, rows.y)
        elbo = (log_p.detach() - draws.log_q).mean() if step.logged else None
        yield Loss(-log_p.mean(), GENERATIVE, metrics={} if elbo is None else {"elbo": elbo})
        yield Loss(self.sleep(rows, step), RECOGNITION)


@dataclass(frozen=True, kw_only=True)
class ReweightedWakeSleepConfig(WakeSleepConfig):
    """Reweighted wake-sleep."""

    num_samples: Annotated[int, Bounds(2, 10**6)] = 5
    """K, the number of draws of q for each example."""
    recognition: Literal["wake", "sleep", "both"] = "wake"
    """What q learns from: weighted draws given the data, dreams of the model, or half of each."""


class ReweightedWakeSleep(TwoPhases[ReweightedWakeSleepConfig]):
    """Wake-sleep with K weighted draws, w_k = p(x, z_k) / q(z_k | x), normalised to w̃.

    p minimises −Σ w̃_k log p(x, z_k): the gradient of the importance-weighted bound. q minimises
    −Σ w̃_k log q(z_k | x), an estimate of KL(p(z | x) ‖ q(z | x)) at the data whose bias falls with
    K, or the sleep phase.

    | Reweighted Wake-Sleep (Bornschein, Bengio, 2015)
    """

    Config = ReweightedWakeSleepConfig
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "generative/loss": Meaning(
            "negative importance-weighted bound: an upper bound on −log p(x)",
            unit="nats",
            goal=Goal("lower"),
            healthy="it falls fast, then slowly",
        ),
        "recognition/loss": Meaning(
            "−log q(z | x) of weighted draws, of dreams, or of both",
            unit="nats",
            goal=Goal("none"),
            healthy="it falls, and may rise again as the latents say more",
        ),
    }

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the loss of p, then that of q."""
        rows = self.rows(batch)
        integrand, draws = self.recognised(rows, self.config.num_samples, step)
        z = integrand.by_level(draws)
        log_p = self.model.log_likelihood(rows, z[0]) + self.model.log_prior(z, rows.y)
        log_w = log_p - draws.log_q
        weights = log_w.detach().softmax(0)
        yield Loss(-(log_w.logsumexp(0) - math.log(len(log_w))).mean(), GENERATIVE)
        yield Loss(self._recognition(rows, z, weights, step), RECOGNITION)

    def _recognition(
        self, rows: Rows, z: tuple[Tensor, ...], weights: Tensor, step: Step
    ) -> Tensor:
        """Return the loss of q, for draws with their weights (K, B)."""
        kind = self.config.recognition
        if kind == "sleep":
            return self.sleep(rows, step)
        wake = -(weights * log_q(Recognised(self.model, rows), z)).sum(0).mean()
        return wake if kind == "wake" else 0.5 * (wake + self.sleep(rows, step))
