"""Objectives of Boltzmann machines: contrastive divergence with fresh or persistent chains."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from genzoo.plugin import Batch, Bounds, Component, Config, Goal, Loss, Meaning, Objective, Step
from genzoo_boltzmann import health
from genzoo_boltzmann.machine import Gradients, Machine, Phase
from genzoo_boltzmann.natural_gradient import natural
from genzoo_boltzmann.precision import full_precision


@dataclass(frozen=True, kw_only=True)
class LearningConfig(Config):
    """What configs of learning share: the optimiser, centring and sparsity."""

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


@dataclass(frozen=True, kw_only=True)
class DivergenceConfig(LearningConfig):
    """The config of both objectives; each one adds its chains."""

    metric: Literal["euclidean", "natural"] = "euclidean"
    """Whether the gradient is taken as it is, or times an inverse Fisher information."""
    damping: Annotated[float, Bounds(1e-6, 1e6)] = 0.03
    """What the natural metric adds to the Fisher information; more is nearer to the gradient."""


C = TypeVar("C", bound=DivergenceConfig)


class Divergence(Objective[C]):
    """Abstract base class: minimises F(data) − F(chain), a difference of free energies.

    With the natural metric its gradient is preconditioned, see `natural_gradient`; the parts of
    sparsity and weight decay are not.
    """

    requires = (Machine,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "free energy of the data minus that of the chains, whose gradient is that of "
            "learning: not a likelihood",
            unit="nats",
            goal=Goal("none"),
            healthy="it is noisy around 0; if its size grows steadily, the chains do not mix or "
            "learning diverges",
        ),
        **health.MEANINGS,
    }
    model: Machine[Any]
    last_rows: Tensor | None
    no_value: Tensor

    def __init__(self, model: Machine[Any], config: C | None = None) -> None:
        super().__init__(model, config)
        # Not saved: an update before an evaluation sets it, also after resuming.
        self.register_buffer("last_rows", None, persistent=False)
        # a value that is not looked at, made once.
        self.register_buffer("no_value", torch.zeros(()), persistent=False)

    @classmethod
    def optimizers(cls, config: LearningConfig) -> Mapping[str, Component]:
        """Return stochastic gradient descent with the config's values."""
        return {"model": sgd(config)}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the difference of free energies."""
        with torch.no_grad():
            data = self.model.data_phase(batch["x"], step.generator)
            before = self.chains(step)
            chain = self.chain(data, step)
        yield self._loss(data, chain, before, step)

    def _loss(self, data: Phase, chain: Phase, before: Tensor | None, step: Step) -> Loss:
        model, config = self.model, self.config
        found = self._gradients(data, chain)
        gradients = {p: g for p, g in found.items() if p.requires_grad}  # Some may be frozen.
        value = self.no_value
        metrics: dict[str, Tensor] = {}
        # Its gradient is known, so the value is for those who look, and it takes some per cent.
        if step.logged:
            value, metrics = self._looked_at(data, chain, before)
        if config.sparsity_cost:
            value = value + config.sparsity_cost * _sparsity(model, data, config.sparsity_target)
        return Loss(value, metrics=metrics, gradients=gradients)

    def _gradients(self, data: Phase, chain: Phase) -> Gradients:
        """Return the gradient by parameter, in the metric of the config."""
        model, config = self.model, self.config
        if config.metric == "euclidean":
            return model.contrast(data, chain, centred=config.centred)
        with full_precision(data.state.device):
            statistics = model.statistics(data, chain, centred=config.centred)
            return natural(statistics, config.damping)

    @torch.no_grad()
    def _looked_at(
        self, data: Phase, chain: Phase, before: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the difference of free energies, and figures of the machine's health."""
        model = self.model
        energies, after = model.energies_of(data.state), model.energies_of(chain.state)
        figures = health.of_rows(data, energies)
        if self.training:
            # Rows of one batch only: older ones would have to be in checkpoints.
            self.last_rows = data.state
            figures |= health.of_weights(model)
            if before is not None:
                figures["chain_time"] = health.chain_time(model.energies_of(before), after)
        elif self.last_rows is not None:
            own = model.energies_of(self.last_rows).mean()
            figures["free_energy_gap"] = figures["free_energy"] - own
        return energies.mean() - after.mean(), figures

    def chains(self, step: Step) -> Tensor | None:
        """Return the states of chains that continue, as they are before the update, if any."""
        return None

    @abc.abstractmethod
    def chain(self, data: Phase, step: Step) -> Phase:
        """Return the phase of the chains, given that of the data."""


@dataclass(frozen=True, kw_only=True)
class CDConfig(DivergenceConfig):
    """Contrastive divergence."""

    num_steps: Annotated[int, Bounds(1, 10**6)] = 1
    """The number of Gibbs sweeps from the data, the k of CD-k."""


class ContrastiveDivergence(Divergence[CDConfig]):
    """Contrastive divergence (CD-k): minimises F(data) − F(chain), with chains from the data.

    | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
    """

    Config = CDConfig

    def chain(self, data: Phase, step: Step) -> Phase:
        """Return the phase of the data after k sweeps."""
        model, chain = self.model, data
        path = model.path()
        for _ in range(self.config.num_steps):
            chain = model.phase(path.sweep_after(chain.state, chain.p, step.generator))
        return chain


@dataclass(frozen=True, kw_only=True)
class PCDConfig(DivergenceConfig):
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

    def chains(self, step: Step) -> Tensor | None:
        """Return the states of the slot's chains; None before the first update."""
        return self.process_state().get(_name(step))

    def chain(self, data: Phase, step: Step) -> Phase:
        """Return the phase of the chains after k sweeps."""
        return self.model.phase(self._advance(len(data.state), step))

    def _advance(self, batch_size: int, step: Step) -> Tensor:
        """Sweep the slot's chains and store them."""
        num = self.config.num_chains or batch_size
        start = functools.partial(self.model.start, num, step.generator)
        return advanced(self, self.model, start, self.config.num_steps, step)


def advanced(
    objective: Objective[Any],
    model: Machine[Any],
    start: Callable[[], Tensor],
    num_steps: int,
    step: Step,
) -> Tensor:
    """Sweep the persistent chains of a step's slot, keep them in the objective, return them.

    Arguments:
        objective: What keeps the chains, one set for each slot.
        model: The machine of the chains.
        start: Returns their first states, where there are none yet.
        num_steps: The number of sweeps.
        step: The step.
    """
    name = _name(step)
    state = objective.process_state().get(name)
    if state is None:
        state = start()
    path = model.path()
    for _ in range(num_steps):
        state = path.sweep(state, step.generator)
    objective.set_process_buffer(name, state)
    return state


def _name(step: Step) -> str:
    return f"chains_{step.slot}"


def sgd(config: LearningConfig) -> Component:
    """Return stochastic gradient descent with the values of a config."""
    values = {"lr": config.lr, "momentum": config.momentum, "weight_decay": config.weight_decay}
    return Component(name="sgd", config=values)


def _sparsity(model: Machine[Any], data: Phase, target: float) -> Tensor:
    """Return Σ_j (mean_B p(h_j = 1 | v) − target)².

    | Sparse Deep Belief Net Model for Visual Area V2 (Lee, Ekanadham, Ng, 2007)
    """
    return ((model.activity(data.state) - target) ** 2).sum()
