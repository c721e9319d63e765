"""The general Boltzmann machine: any pairs of visible and hidden units may be connected."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Component,
    Config,
    ConfigError,
    DataInfo,
    LogProb,
    Note,
    Space,
    Stage,
    batch_size_for,
)
from genzoo_boltzmann import enumeration, graph, pair_gradient, suiting
from genzoo_boltzmann.binary_machine import BinaryMachine
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.general_path import (
    GeneralPath,
    mean_field,
    split_free_energy,
    variational_bound,
)
from genzoo_boltzmann.machine import Gradients, Machine, Phase
from genzoo_boltzmann.natural_gradient import Statistics
from genzoo_boltzmann.precision import full_precision

_MAX_UNITS = 4096
# With up to this number of hidden units besides those that are summed out, all their states are
# added up; with more, a likelihood is a variational bound.
_MAX_ENUMERATED_HIDDEN = 12
_BOUND = Note(
    "mean-field",
    "The hidden units are too many to enumerate: log p is replaced by its mean-field lower bound.",
)

Unit = Annotated[int, Bounds(0, _MAX_UNITS - 1)]


@dataclass(frozen=True, kw_only=True)
class BoltzmannMachineConfig(Config):
    """A general Boltzmann machine."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    num_hidden: Annotated[int, Bounds(0, _MAX_UNITS)] = 8
    """The number of hidden units."""
    graph: Literal["complete", "semi-restricted", "restricted", "edges"] = "complete"
    """Which units are connected: all pairs, all but pairs of hidden units, pairs of a visible and
    a hidden unit only, or those of ``edges``."""
    edges: Annotated[tuple[tuple[Unit, Unit], ...], Bounds(0, 2**20)] = ()
    """The pairs of units that are connected if the graph is "edges". Units are numbered from 0,
    visible ones first."""
    num_posterior_steps: Annotated[int, Bounds(1, 10**4)] = 5
    """The number of mean-field steps, and then of clamped sweeps, by which hidden units are drawn
    given visible ones, where this is not exact."""

    def __post_init__(self) -> None:
        """Check the graph."""
        super().__post_init__()
        num = self.num_units
        if num > _MAX_UNITS:
            raise ConfigError(
                f"A general machine has up to {_MAX_UNITS} units, not {num}; use an rbm, whose "
                "layers may be larger."
            )
        if self.edges and self.graph != "edges":
            raise ConfigError(f"edges are given, but graph is {self.graph!r}: set graph='edges'.")
        graph.check_edges(self.edges, num)

    @property
    def num_units(self) -> int:
        """The number of visible and hidden units."""
        return math.prod(self.event.event_shape) + self.num_hidden


class BoltzmannMachine(BinaryMachine, Machine[BoltzmannMachineConfig]):
    """A general Boltzmann machine, E(v, h) = −½ vᵀRv − vᵀWh − ½ hᵀSh − bᵀv − cᵀh.

    R and S are symmetric with zero diagonals, so each pair counts once: the weight of the pair i,
    j is R_ij = R_ji, and unit i has the field Σ_j R_ij v_j + (Wh)_i + b_i. Pairs that the graph
    does not connect have the weight 0, whatever the parameters ``R``, ``W`` and ``S`` hold there.

    Units of one colour of the graph are independent given all others, and a sweep draws them
    together: one unit at a time if the graph is complete. A set of unconnected hidden units is
    summed out, so a machine with the graph "restricted" is an RBM in every respect.

    | A Learning Algorithm for Boltzmann Machines (Ackley, Hinton, Sejnowski, 1985)

    Arguments:
        config: The space of the data, the number of hidden units and the graph.
    """

    Config = BoltzmannMachineConfig
    event_spaces = (Binary,)
    papers = (
        (
            "David H. Ackley, Geoffrey E. Hinton, Terrence J. Sejnowski. A Learning Algorithm for "
            "Boltzmann Machines. Cognitive Science 9(1), 1985."
        ),
        (
            "Ruslan Salakhutdinov. Learning and Evaluating Boltzmann Machines. Technical report "
            "UTML TR 2008-002, University of Toronto, 2008."
        ),
    )
    limits = (
        (
            "A sweep draws one colour of the graph after the other, so a complete graph of N "
            "units takes N steps: it is for small machines. By default, data of more than 32 "
            "places get the graph of an RBM."
        ),
        (
            "If more than 12 hidden units are connected with each other, its likelihood is a "
            "mean-field lower bound; if all units but one unconnected set are more than 22, log Z "
            "is an estimate."
        ),
    )

    R: nn.Parameter
    W: nn.Parameter
    S: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: BoltzmannMachineConfig) -> None:
        super().__init__(config)
        num_visible, num_hidden = math.prod(self.event_shape), config.num_hidden
        self.R = nn.Parameter(torch.zeros(num_visible, num_visible))
        self.W = nn.Parameter(torch.empty(num_visible, num_hidden).normal_(std=0.01))
        self.S = nn.Parameter(torch.zeros(num_hidden, num_hidden))
        self.b = nn.Parameter(torch.zeros(num_visible))
        self.c = nn.Parameter(torch.zeros(num_hidden))
        self.register_buffer("base_rates", torch.full((num_visible,), 0.5))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @property
    def _wiring(self) -> graph.Wiring:
        """Which units are connected, and the blocks of a sweep."""
        return self._wiring_on(self.device)

    def _wiring_on(self, device: torch.device) -> graph.Wiring:
        config = self.config
        return graph.wiring(config.graph, config.edges, len(self.b), len(self.c), device)

    @property
    def _joined(self) -> Tensor:
        return self._wiring.joined

    @property
    def _blocks(self) -> graph.Blocks:
        return self._wiring.blocks

    @classmethod
    def example(cls) -> tuple[BoltzmannMachineConfig, Batch]:
        """Return the config of a machine of 6 + 3 units, and eight rows."""
        x = torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
        event = Binary(shape=(1, 2, 3))
        return BoltzmannMachineConfig(event=event, num_hidden=3), {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> BoltzmannMachineConfig:
        """Return a config that fits the data; see `suiting.general`."""
        cls.check_event(info)
        fitted = suiting.general(info[cls.event_field], overrides)
        return super().configure(info, conditions, **fitted)

    @classmethod
    def default_stages(cls, config: BoltzmannMachineConfig) -> tuple[Stage, ...]:
        """Return persistent contrastive divergence with a falling rate; that of an RBM for one."""
        if config.graph == "restricted":
            return (suiting.general_learning(config.event),)
        return (
            Stage(
                objective=Component(name="pcd", config={"num_steps": 2}),
                trainer={"max_steps": 10_000, "batch_size": 100, "lr_scheduler": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the number of units."""
        return batch_size_for(self.config.num_units)

    # Weights of all units

    def weights(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Return the weights of all pairs, (N, N), and the biases, (N,), visible units first."""
        R, W, S, b, c = (
            p.to(dtype or self.dtype) for p in (self.R, self.W, self.S, self.b, self.c)
        )
        above = torch.cat([0.5 * (R + R.T), W], dim=1)
        below = torch.cat([W.T, 0.5 * (S + S.T)], dim=1)
        return torch.cat([above, below]) * self._joined, torch.cat([b, c])

    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return R, W, S, b and c."""
        return self.R, self.W, self.S, self.b, self.c

    @torch.no_grad()
    def connections(self) -> Tensor:
        """Return W, (V, H), or R without hidden units; unconnected pairs have the weight 0."""
        J, num = self.weights()[0], len(self.b)
        return J[:num, num:] if len(self.c) else J

    def joint_energy(self, v: Tensor, h: Tensor) -> Tensor:
        """Return E(v, h), (B,), for units (B, V) and (B, H), in the wider dtype."""
        with full_precision(self.device):
            J, theta = self.weights(torch.promote_types(v.dtype, self.dtype))
            u = torch.cat([v, h], dim=1).to(J.dtype)
            return -(u * (theta + 0.5 * (u @ J))).sum(1)

    # Chains and learning

    def path(self, *, dtype: torch.dtype | None = None) -> GeneralPath:
        """Return the geometric path from independent units: base rates, and fair coins."""
        with torch.no_grad():
            J, theta = self.weights(dtype)
        return GeneralPath(J, theta, self.base_rates.to(J.dtype), self._blocks)

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw states of independent units, (num, D)."""
        return self.path().start(num, generator)

    @torch.no_grad()
    def states(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return states (B, D): rows with hidden units drawn given them, or states as they are.

        Hidden units that are not summed out begin at draws of the mean-field probabilities and are
        then swept with the visible units clamped.
        """
        state = x.flatten(1).to(self.device, self.dtype)
        num_visible, kept = len(self.b), self._blocks.kept
        if state.shape[1] == len(kept):
            return state
        path, steps = self.path(), self.config.num_posterior_steps
        q = mean_field(path.J, path.theta, state, list(self._wiring.hidden_colours), steps)
        hidden = bernoulli(q[:, kept[num_visible:] - num_visible], generator)
        state = torch.cat([state, hidden], dim=1)
        for _ in range(steps):
            state = path.hidden_sweep(state, num_visible, generator)
        return state

    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(state) = −log of the sum over the units that are summed out, (B,)."""
        with full_precision(self.device):
            J, theta = self.weights(torch.promote_types(state.dtype, self.dtype))
            return split_free_energy(
                J, theta, self._blocks.kept, self._blocks.out, state.to(J.dtype)
            )

    @torch.no_grad()
    def phase(self, state: Tensor) -> Phase:
        """Return the phase of states (B, D)."""
        return Phase(state, self.path().field(state).to(state.dtype).sigmoid_())

    @torch.no_grad()
    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of `difference` by parameter; see `pair_gradient`.

        μ is the base rate of a visible unit, and the mean over the data of a hidden one.
        """
        return self._by_parameter(*pair_gradient.contrast(*self._in_pairs(data, chain, centred)))

    @torch.no_grad()
    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return −∂F of the rows of both phases; see `pair_gradient`."""
        pairs = self._in_pairs(data, chain, centred)
        return pair_gradient.statistics(*pairs, self._by_parameter)

    def _in_pairs(
        self, data: Phase, chain: Phase, centred: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return which units are connected, the units of both phases, and their offsets."""
        u, w = self._units(data), self._units(chain)
        mu = torch.zeros_like(u[0])
        if centred:
            mu = u.mean(0)
            mu[: len(self.base_rates)] = self.base_rates
        return self._joined, u, w, mu

    def _by_parameter(self, d_J: Tensor, d_theta: Tensor) -> Gradients:
        """Return changes of J (N, N) and θ (N,) as those of the parameters."""
        num = len(self.b)
        return {
            self.R: d_J[:num, :num].contiguous(),
            self.W: d_J[:num, num:].contiguous(),
            self.S: d_J[num:, num:].contiguous(),
            self.b: d_theta[:num].contiguous(),
            self.c: d_theta[num:].contiguous(),
        }

    def _units(self, phase: Phase) -> Tensor:
        """Return all units of a phase, (B, N), with probabilities of those that are summed out."""
        u = phase.state.new_empty(len(phase.state), len(self._joined))
        u[:, self._blocks.kept], u[:, self._blocks.out] = phase.state, phase.p
        return u

    def activity(self, state: Tensor) -> Tensor:
        """Return the mean probability of each hidden unit that is summed out, with its graph."""
        J, theta = self.weights()
        kept, out = self._blocks.kept, self._blocks.out
        return torch.addmm(theta[out], state, J[kept][:, out]).sigmoid().mean(0)

    # log Z and likelihood

    def _enumerated(self) -> tuple[list[int], list[int]]:
        """Return the units whose states are added up for log Z, and those summed exactly."""
        wiring, num = self._wiring_on(torch.device("cpu")), len(self.b)
        everything = range(len(wiring.joined))
        sets = [graph.independent(wiring.joined, part) for part in (everything, everything[:num])]
        out = max([*sets, wiring.blocks.out.tolist()], key=len)
        return [unit for unit in everything if unit not in set(out)], out

    @property
    def num_bits(self) -> int:
        """The number of units but for the largest unconnected set that is found."""
        return len(self._enumerated()[0])

    def log_sum(self) -> Tensor:
        """Return log Z, a float64 scalar: the sum over all units but one unconnected set."""
        kept, out = map(graph.index_of, self._enumerated())

        def log_p(s: Tensor, J: Tensor, theta: Tensor) -> Tensor:
            return -split_free_energy(J, theta, kept, out, s)

        return enumeration.log_sum(log_p, len(kept), *self.weights(torch.float64))

    @property
    def _num_kept_hidden(self) -> int:
        return len(self._blocks.kept) - len(self.b)

    @property
    def sums_hidden(self) -> bool:
        """Whether the hidden units that are connected with each other are at most 12."""
        return self._num_kept_hidden <= _MAX_ENUMERATED_HIDDEN

    def row_energies(self, v: Tensor) -> Tensor:
        """Return −log p(v) − log Z of visible units (B, V), (B,).

        With more than 12 hidden units that are not summed out it is an upper bound, by mean field.
        """
        if not self.sums_hidden:
            return self._bounded_energies(v)
        v = v.to(torch.promote_types(v.dtype, self.dtype))
        return enumeration.rest_summed(self.free_energies, v, self._num_kept_hidden)

    def _bounded_energies(self, v: Tensor) -> Tensor:
        with full_precision(self.device):
            J, theta = self.weights(torch.promote_types(v.dtype, self.dtype))
            v = v.to(J.dtype)
            steps = 20 * self.config.num_posterior_steps
            with torch.no_grad():
                q = mean_field(J, theta, v, list(self._wiring.hidden_colours), steps)
            return -variational_bound(J, theta, v, q)

    def log_prob(self, x: Tensor, **options: Any) -> LogProb:
        """Return log p(x) of each example, or its mean-field lower bound; see `Machine.log_prob`.

        It is a bound if more than 12 hidden units are not summed out, and a note says so.
        """
        found = super().log_prob(x, **options)
        if self.sums_hidden:
            return found
        kind = "lower bound" if found.kind == "exact" else found.kind
        return dataclasses.replace(found, kind=kind, notes=(_BOUND, *found.notes))

    # Pictures

    def filters(self) -> Tensor:
        """Return the weights of each hidden unit, (H, *event_shape); R if there are none."""
        return self.to_data(self.connections().T)
