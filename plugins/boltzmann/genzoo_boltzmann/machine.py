"""What all Boltzmann machines share: blocks of units, chains, log Z and likelihoods."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Component,
    Config,
    GenerativeModel,
    LogProb,
    Note,
    NotFiniteWeightsError,
    Stage,
    by_blocks,
)
from genzoo_boltzmann import partition
from genzoo_boltzmann.log_partition import LogPartition
from genzoo_boltzmann.natural_gradient import Statistics
from genzoo_boltzmann.path import Path
from genzoo_boltzmann.sparse_binary import Ones

_ROWS = 4096

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Phase:
    """States of one phase of learning.

    Arguments:
        state: The units that are not summed out, (B, D).
        p: The probabilities of those that are, (B, H).
        ones: The positions of ones in the state, if products with them are sums of rows.
    """

    state: Tensor
    p: Tensor
    ones: Ones | None = None


Gradients = Mapping[nn.Parameter, Tensor]


class Machine(GenerativeModel[C]):
    """Abstract base class: a machine p = exp(−E) / Z of units in blocks.

    The units of a block are independent given all others, so a chain draws them together. One
    block is summed out; the others are the *state* of a chain, (B, D), with the visible units
    first. F(state) is the free energy, −log of the sum over the block that is summed out.

    Class attributes:
        measure: Whether log p(x) is that of a mass or of a density.
    """

    measure: Literal["mass", "density"] = "mass"
    default_num_samples = partition.NUM_CHAINS

    # What each machine defines

    @abc.abstractmethod
    def path(self, *, dtype: torch.dtype | None = None) -> Path:
        """Return its tempered distributions, with values of ``dtype``; its own by default."""

    @abc.abstractmethod
    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw states of independent units with the statistics of the data, (num, D)."""

    @abc.abstractmethod
    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(state), (B,), with its graph, of the wider dtype of state and parameters."""

    @abc.abstractmethod
    def phase(self, state: Tensor) -> Phase:
        """Return the phase of states (B, D), without a graph."""

    @abc.abstractmethod
    def activity(self, state: Tensor) -> Tensor:
        """Return the mean probability of each unit that is summed out, (H,), with its graph."""

    @abc.abstractmethod
    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return −∂F of the rows of both phases, without a graph.

        Their `Statistics.step` of mean(chain) − mean(data) is `contrast`.
        """

    @property
    @abc.abstractmethod
    def num_bits(self) -> float:
        """The binary logarithm of the number of states that `log_sum` adds up."""

    @abc.abstractmethod
    def log_sum(self) -> Tensor:
        """Return log Z by enumeration, a float64 scalar with its graph."""

    @abc.abstractmethod
    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return the weights and biases whose sums are the units' fields."""

    def connections(self) -> Tensor:
        """Return the weights between visible and hidden units as a matrix, without a graph."""
        weights: Tensor = next(p for p in self.parameters() if p.ndim >= 2)
        return weights.detach().flatten(1)

    # What a machine whose state has hidden units redefines

    def states(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return states (B, D) for rows (B, *event_shape), or states as they are."""
        return x.flatten(1).to(self.device, self.dtype)

    def data_phase(self, x: Tensor, generator: torch.Generator) -> Phase:
        """Return the phase of rows (B, *event_shape), without a graph."""
        return self.phase(self.states(x, generator))

    def row_energies(self, v: Tensor) -> Tensor:
        """Return −log p(v) − log Z of visible units (B, V), (B,), as `free_energies` does."""
        return self.free_energies(v)

    def _energies(self, x: Tensor) -> Tensor:
        """Return −log p(x) − log Z, (B,), in float64."""
        return self.row_energies(x.flatten(1).to(self.device, torch.float64))

    def energies_of(self, state: Tensor) -> Tensor:
        """Return the free energies of the states of a phase, (B,), those of the data included."""
        return self.free_energies(state)

    @torch.no_grad()
    def difference(self, data: Phase, chain: Phase) -> Tensor:
        """Return mean F(data) − mean F(chain), a scalar, without a graph."""
        return self.energies_of(data.state).mean() - self.energies_of(chain.state).mean()

    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of `difference` by parameter, here by autograd.

        Arguments:
            data: The phase of the data.
            chain: The phase of the chains.
            centred: Whether the gradient is transformed to that of a centred machine, by machines
                that define it.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        with torch.enable_grad():
            energies = self.free_energies(data.state), self.free_energies(chain.state)
            value = energies[0].mean() - energies[1].mean()
            found = torch.autograd.grad(value, parameters, allow_unused=True)
        pairs = zip(parameters, found, strict=True)
        return {p: g for p, g in pairs if g is not None}

    # Samples

    @classmethod
    def default_stages(cls, config: C) -> tuple[Stage, ...]:
        """Return centred persistent contrastive divergence with a falling learning rate."""
        return (
            Stage(
                objective=Component(name="pcd"),
                trainer={"max_steps": 5000, "batch_size": 100, "lr_scheduler": "linear"},
            ),
        )

    @classmethod
    def default_sampler(cls, config: C) -> Component:
        """Return block Gibbs sampling."""
        return Component(name="gibbs")

    @classmethod
    def preview_sampler(cls, config: C) -> Component:
        """Return block Gibbs sampling with few sweeps, which may not have reached the model."""
        return Component(name="gibbs", config={"num_steps": 100})

    def to_data(self, state: Tensor) -> Tensor:
        """Return the visible units of states (B, D) as examples (B, *event_shape)."""
        return state[:, : math.prod(self.event_shape)].reshape(-1, *self.event_shape)

    def check_sums(self) -> None:
        """Raise if sums of the weights could overflow, so that a unit's field would be NaN.

        A draw compares a uniform number with a probability, which is false for NaN, so such a
        machine would draw zeros. The maximum sum of any state is therefore bounded beforehand, and
        draws need not be checked.

        Raises:
            NotFiniteWeightsError: The bound is not finite in the parameters' dtype.
        """
        terms = [term.detach() for term in self.sum_terms() if term.numel()]
        ends = torch.stack([end for term in terms for end in term.aminmax()])
        sizes = [term.numel() for term in terms for _ in range(2)]
        bound = sum(abs(end) * n for end, n in zip(ends.double().tolist(), sizes, strict=True))
        if not bound < torch.finfo(self.dtype).max:
            raise NotFiniteWeightsError(
                f"The weights of this {type(self).__name__} are not finite, or so large that sums "
                f"of them overflow {self.dtype}: their values reach {ends.abs().max().item():g}. "
                "Training may have diverged: take an earlier checkpoint, or model.double()."
            )

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 1000,
    ) -> Tensor:
        """Return ``x``, filled in where ``mask`` is true by clamped Gibbs sweeps.

        Arguments:
            x: Examples (B, *event_shape); values where the mask is true are ignored.
            mask: Where to fill in, bool, broadcastable to the shape of ``x``.
            generator: The generator, on the model's device.
            num_inference_steps: The number of sweeps.
        """
        x, mask = self.checked_inpainting(x, mask)
        self.check_sums()
        state, num = self.start(len(x), generator), math.prod(self.event_shape)
        free = torch.ones_like(state, dtype=torch.bool)
        free[:, :num] = mask.flatten(1)
        state[:, :num] = torch.where(free[:, :num], state[:, :num], x.flatten(1))
        path = self.path()
        for _ in range(num_inference_steps):
            state = path.clamped_sweep(state, free, generator)
        return self.to_data(state)

    # Likelihood

    def energy(self, x: Tensor) -> Tensor:
        """Return −log p(x) − log Z, (B,), of examples (B, *event_shape)."""
        self.check_rows(x)
        return self.row_energies(x.to(self.device).flatten(1))

    def log_partition_function(
        self,
        method: Literal["exact", "ais", "reverse-ais"] = "ais",
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> LogPartition:
        """Return log Z; see `genzoo_boltzmann.partition` for methods and their options.

        Raises:
            CapabilityError: The method is "exact", but the machine is too large to enumerate.
            ConfigError: The method is unknown.
            NotFiniteWeightsError: The weights are not finite, or so large that sums overflow.
        """
        self.check_sums()
        return partition.estimate(self, method, generator=generator, **options)

    @property
    def log_prob_kind(self) -> Literal["exact", "lower bound", "stochastic estimate"]:
        """Exact if the states of the smaller block can be enumerated."""
        exact = partition.num_rows(self, 2) == 0
        return "exact" if exact else "stochastic estimate"

    def num_held_out(self, num_samples: int | None = None) -> int:
        """Return the number of rows that `log_prob` takes as ``start``; 0 if log Z is exact."""
        num_chains = self.checked_num_samples(num_samples)
        return partition.num_rows(self, num_chains)

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
        start: Tensor | None = None,
        log_partition: LogPartition | None = None,
    ) -> LogProb:
        """Return log p(x) = −F(x) − log Z of each example of ``x`` (N, *event_shape), in nats.

        A row with a probability above 1 shows that log Z is too low, and a note says so.

        log Z is exact if one block of units can be enumerated. Otherwise annealed importance
        sampling estimates it, and a reverse run gives the other end of the interval: the first
        makes the likelihood look too good, the second too bad. Half of the reverse chains start at
        rows of data, to detect a mode that annealing misses.

        Arguments:
            x: The examples.
            condition: None; the model takes none.
            generator: The generator of the estimate, on the model's device.
            num_samples: The number of annealed chains in each direction; 100 by default.
            start: The rows at which reverse chains start, (K, *event_shape), preferably not in
                ``x``; by default rows of ``x``, and a note says so.
            log_partition: An earlier estimate to use.

        Raises:
            CapabilityError: Gradients are enabled, and log Z must be estimated.
        """
        self.check_rows(x)
        self.check_sums()
        self.checked_condition(condition, len(x))
        self.checked_num_samples(num_samples)
        if torch.is_grad_enabled():
            return self._differentiable(x)
        log_z = log_partition or self.log_partition_for(x, start, generator, num_samples)
        negative_energy = by_blocks(
            lambda rows: -self._energies(x[rows]), len(x), _ROWS, independent=True
        )
        return log_z.of_rows(negative_energy, self.measure)

    def _differentiable(self, x: Tensor) -> LogProb:
        """Return log p(x) with its graph; both terms are computed in float64."""
        values = -self._energies(x) - partition.differentiable(self)
        return LogProb(values=values.to(self.dtype), kind="exact", measure=self.measure)

    def log_partition_for(
        self,
        x: Tensor,
        start: Tensor | None,
        generator: torch.Generator | None,
        num_samples: int | None,
    ) -> LogPartition:
        """Return log Z for the likelihood of rows; the arguments are those of `log_prob`."""
        num_chains = self.checked_num_samples(num_samples)
        rows = start if start is not None else x if len(x) else None
        log_z = partition.best(self, start=rows, generator=generator, num_chains=num_chains)
        if start is not None or self.num_held_out(num_samples) == 0:
            return log_z
        text = "Half of the reverse chains began at rows that are judged, for want of others."
        notes = (*log_z.estimate.notes, Note("starts-judged", text))
        return replace(log_z, estimate=replace(log_z.estimate, notes=notes))
