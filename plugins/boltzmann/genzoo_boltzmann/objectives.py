"""Objectives of Boltzmann machines: contrastive divergence with fresh or persistent chains."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import Batch, Bounds, Component, Config, Loss, Objective, Step
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.gibbs import start_from_base_rates, sweep
from genzoo_boltzmann.gradient import Phase, contrast, phase
from genzoo_boltzmann.rbm import RBM


@dataclass(frozen=True, kw_only=True)
class LearningConfig(Config):
    """The config of both objectives; each one adds its chains."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 0.05
    """The learning rate."""
    momentum: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The momentum."""
    weight_decay: Annotated[float, Bounds(0.0, 1e3)] = 0.0
    """The weight decay, for W only."""
    centred: bool = True
    """Whether the centred gradient is used."""
    sparsity_target: Annotated[float, Bounds(0.0, 1.0)] = 0.1
    """The target of the mean activation of hidden units."""
    sparsity_cost: Annotated[float, Bounds(0.0, 1e6)] = 0.0
    """The weight of Σ_j (mean activation_j − target)²; 0 for no penalty."""


C = TypeVar("C", bound=LearningConfig)


class Divergence(Objective[C]):
    """Abstract base class: minimises F(data) − F(chain), a difference of free energies."""

    requires = (RBM,)
    model: RBM

    @classmethod
    def optimizers(cls, config: LearningConfig) -> Mapping[str, Component]:
        """Return stochastic gradient descent with the config's values."""
        return {"model": _sgd(config)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the difference of free energies."""
        with torch.no_grad():
            data, chain = self.phases(batch["x"].flatten(1), step)
        yield _loss(self.model, data, chain, self.config, step)

    @abc.abstractmethod
    def phases(self, v: Tensor, step: Step) -> tuple[Phase, Phase]:
        """Return the phase of the data v, (B, V), and that of the chains."""


@dataclass(frozen=True, kw_only=True)
class CDConfig(LearningConfig):
    """Contrastive divergence."""

    num_steps: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of Gibbs sweeps from the data, the k of CD-k."""


class ContrastiveDivergence(Divergence[CDConfig]):
    """Contrastive divergence (CD-k): minimises F(data) − F(chain), with chains from the data.

    | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
    """

    Config = CDConfig

    def phases(self, v: Tensor, step: Step) -> tuple[Phase, Phase]:
        """Return the phase of the data, and that of k sweeps after them."""
        data = chain = phase(self.model, v)
        for _ in range(self.config.num_steps):
            h = bernoulli(chain.p, step.generator)
            probs = self.model.visible_logits(h).sigmoid_()
            chain = phase(self.model, bernoulli(probs, step.generator))
        return data, chain


@dataclass(frozen=True, kw_only=True)
class PCDConfig(LearningConfig):
    """Persistent contrastive divergence."""

    num_steps: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of Gibbs sweeps per update."""
    num_chains: Annotated[int | None, Bounds(1, 10**7)] = None
    """The number of chains per micro-batch; by default its number of examples."""


class PersistentContrastiveDivergence(Divergence[PCDConfig]):
    """Persistent contrastive divergence (PCD-k): chains continue from update to update.

    The chains start from the base rates and belong to the process, one set per slot.

    | Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient
    | (Tieleman, 2008)
    """

    Config = PCDConfig

    def phases(self, v: Tensor, step: Step) -> tuple[Phase, Phase]:
        """Return the phase of the data, and that of the chains after k sweeps."""
        return phase(self.model, v), phase(self.model, self._advance(len(v), step))

    def _advance(self, batch_size: int, step: Step) -> Tensor:
        """Sweep the slot's chains and store them."""
        name = f"chains_{step.slot}"
        v = self.process_state().get(name)
        if v is None:
            num = self.config.num_chains or batch_size
            v = start_from_base_rates(self.model, num, step.generator)
        for _ in range(self.config.num_steps):
            v = sweep(self.model, v, step.generator)
        self.set_process_buffer(name, v)
        return v


def _sgd(config: LearningConfig) -> Component:
    values = {"lr": config.lr, "momentum": config.momentum, "weight_decay": config.weight_decay}
    return Component(name="sgd", config=values)


def _loss(model: RBM, data: Phase, chain: Phase, config: LearningConfig, step: Step) -> Loss:
    found = contrast(model, data, chain, centred=config.centred)
    pairs = ((model.W, found.d_W), (model.b, found.d_b), (model.c, found.d_c))
    gradients = {p: gradient for p, gradient in pairs if p.requires_grad}  # Some may be frozen.
    value = found.value
    if config.sparsity_cost:
        value = value + config.sparsity_cost * _sparsity(model, data.v, config.sparsity_target)
    metrics = _metrics(data) if step.logged else {}
    return Loss(value, metrics=metrics, gradients=gradients)


def _metrics(data: Phase) -> dict[str, Tensor]:
    """Return the mean of p(h_j = 1 | v) over the data and the hidden units."""
    return {"hidden_activity": data.p.mean()}


def _sparsity(model: RBM, v: Tensor, target: float) -> Tensor:
    """Return Σ_j (mean_B σ(c + vᵀW)_j − target)².

    | Sparse Deep Belief Net Model for Visual Area V2 (Lee, Ekanadham, Ng, 2007)
    """
    activity = torch.sigmoid(model.hidden_logits(v)).mean(0)
    return ((activity - target) ** 2).sum()
