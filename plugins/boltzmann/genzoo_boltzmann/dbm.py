"""The deep Boltzmann machine: layers of binary units, each connected with its neighbours."""

from __future__ import annotations

import dataclasses
import itertools
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
    Config,
    ConfigError,
    DataInfo,
    LogProb,
    Note,
    Space,
    Stage,
    batch_size_for,
)
from genzoo_boltzmann import enumeration, fantasies, layer_gradient, partition, suiting
from genzoo_boltzmann.binary_machine import BinaryMachine
from genzoo_boltzmann.deep_mean_field import entropy, mean_field
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.layers import LayerCoupling, Layers, log_sum
from genzoo_boltzmann.machine import Gradients, Machine, Phase
from genzoo_boltzmann.natural_gradient import Statistics
from genzoo_boltzmann.path import TwoBlockPath
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.units import BernoulliHidden, BernoulliVisible

# With up to this number of units in the even hidden layers, all their states are added up; with
# more, a likelihood is a variational bound.
_MAX_ENUMERATED_HIDDEN = 12
_TOLERANCE = 1e-6
_MOST_STEPS = 1000
_BOUND = Note(
    "mean-field",
    "The hidden units are too many to enumerate: log p is replaced by its mean-field lower bound.",
)


@dataclass(frozen=True, kw_only=True)
class DBMConfig(Config):
    """A deep Boltzmann machine."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    hidden_dims: Annotated[tuple[Annotated[int, Bounds(1, 2**20)], ...], Bounds(0, 32)] = (
        suiting.DEEP_HIDDEN
    )
    """The numbers of units of the hidden layers, two or more, the lowest first."""
    num_mean_field_steps: Annotated[int, Bounds(1, 10**4)] = 5
    """The number of mean-field steps of the data in each update. A likelihood takes up to 1,000,
    until no probability changes by more than 1e-6."""

    def __post_init__(self) -> None:
        """Check the number of layers."""
        super().__post_init__()
        if len(self.hidden_dims) < 2:
            raise ConfigError(
                "A deep machine has two or more hidden layers, but hidden_dims is "
                f"{list(self.hidden_dims)}: use an rbm for one, or give two numbers of units."
            )


class DBM(BinaryMachine, Machine[DBMConfig]):
    """A deep Boltzmann machine, E = −bᵀv − Σ_l c_lᵀh_l − vᵀW_1h_1 − Σ_l h_{l−1}ᵀW_l h_l.

    Its units are in two blocks: the odd layers h_1, h_3, … are independent given the even ones v,
    h_2, …, and the other way round. The even layers are the state of a chain, and the odd ones are
    summed out. The posterior p(h | v) does not factorise: learning takes its mean-field
    approximation for the data, and persistent chains for the model.

    Parameters: ``W`` (a list, W_l of N_{l−1} × N_l), ``b`` and ``c`` (a list).

    | Deep Boltzmann Machines (Salakhutdinov, Hinton, 2009)

    Arguments:
        config: The space of the data and the numbers of hidden units.
    """

    Config = DBMConfig
    event_spaces = (Binary,)
    papers = (
        "Ruslan Salakhutdinov, Geoffrey E. Hinton. Deep Boltzmann Machines. AISTATS, 2009.",
        (
            "Grégoire Montavon, Klaus-Robert Müller. Deep Boltzmann Machines and the Centering "
            "Trick. In: Neural Networks: Tricks of the Trade, Springer, 2012."
        ),
        (
            "Jan Melchior, Asja Fischer, Laurenz Wiskott. How to Center Deep Boltzmann Machines. "
            "Journal of Machine Learning Research 17(99), 2016."
        ),
    )
    limits = (
        (
            "Its units and samples are zeros and ones: grey images must be binarised first, "
            "and likelihoods under different binarisations cannot be compared."
        ),
        (
            "With more than 12 units in the even hidden layers, log p(x) is a mean-field lower "
            "bound. With more than 22 units in both the even and the odd layers, log Z is an "
            "estimate: read the likelihood with its interval."
        ),
        "Its chains mix slowly; the sampler tempered-gibbs takes longer and mixes better.",
    )

    W: nn.ParameterList
    b: nn.Parameter
    c: nn.ParameterList

    def __init__(self, config: DBMConfig) -> None:
        super().__init__(config)
        sizes = [math.prod(self.event_shape), *config.hidden_dims]
        self.W = nn.ParameterList(
            torch.empty(below, above).normal_(std=0.01)
            for below, above in itertools.pairwise(sizes)
        )
        self.b = nn.Parameter(torch.zeros(sizes[0]))
        self.c = nn.ParameterList(torch.zeros(num) for num in sizes[1:])
        self.register_buffer("base_rates", torch.full((sizes[0],), 0.5))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def example(cls) -> tuple[DBMConfig, Batch]:
        """Return the config of a machine of 6 + 4 + 3 units, and eight rows."""
        x = torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
        return DBMConfig(event=Binary(shape=(1, 2, 3)), hidden_dims=(4, 3)), {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> DBMConfig:
        """Return a config that fits the data; see `suiting.deep_dims`."""
        cls.check_event(info)
        fitted = suiting.deep_dims(info[cls.event_field])
        return super().configure(info, conditions, **{"hidden_dims": fitted, **overrides})

    @classmethod
    def default_stages(cls, config: DBMConfig) -> tuple[Stage, ...]:
        """Return greedy pretraining and joint learning; see `suiting.deep_learning`."""
        return suiting.deep_learning(config.event)

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the largest layer."""
        return batch_size_for(max(len(self.b), *self.config.hidden_dims))

    # Layers

    def layers(self, dtype: torch.dtype | None = None) -> Layers:
        """Return the weights and biases of all layers, with their graph."""
        dtype = dtype or self.dtype
        return Layers([W.to(dtype) for W in self.W], [c.to(dtype) for c in (self.b, *self.c)])

    def _detached(self, dtype: torch.dtype | None = None) -> Layers:
        with torch.no_grad():
            layers = self.layers(dtype)
            return Layers([W.detach() for W in layers.W], [c.detach() for c in layers.biases])

    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return the weights and biases."""
        return (*self.W, self.b, *self.c)

    def joint_energy(self, v: Tensor, h: Sequence[Tensor]) -> Tensor:
        """Return E(v, h), (B,), for units (B, V) and those of each hidden layer, (B, N_l)."""
        with full_precision(self.device):
            layers = self.layers(torch.promote_types(v.dtype, self.dtype))
            x = [units.to(layers.W[0].dtype) for units in (v, *h)]
            own = sum(
                (units @ c for units, c in zip(x, layers.biases, strict=True)), v.new_zeros(())
            )
            pairs = [((x[n] @ W) * x[n + 1]).sum(1) for n, W in enumerate(layers.W)]
            return -own - torch.stack(pairs).sum(0)

    def visible_mean(self, h: Tensor) -> Tensor:
        """Return p(v_i = 1 | h_1), (B, V), for units of the first hidden layer (B, N_1)."""
        return torch.addmm(self.b, h, self.W[0].T).sigmoid()

    # Chains and learning

    def path(self, *, dtype: torch.dtype | None = None) -> TwoBlockPath:
        """Return the geometric path from independent units: base rates, and fair coins."""
        layers = self._detached(dtype)
        rates = layers.bias(0).new_full((sum(layers.sizes[0::2]),), 0.5)
        rates[: len(self.b)] = self.base_rates
        visible = BernoulliVisible(layers.bias(0), rates)
        return TwoBlockPath(
            visible, BernoulliHidden(sum(layers.sizes[1::2])), LayerCoupling(layers)
        )

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw even layers of independent units, (num, D)."""
        return self.path().start(num, generator)

    @torch.no_grad()
    def states(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return states (B, D): rows with even hidden layers drawn given them, or states.

        They are drawn from the mean-field probabilities, and then swept with the visible units
        clamped.
        """
        state = x.flatten(1).to(self.device, self.dtype)
        num = len(self.b)
        if state.shape[1] != num:
            return state
        even, _ = self._posterior(state)
        state = torch.cat([state, bernoulli(even[:, num:], generator)], dim=1)
        free = torch.ones_like(state, dtype=torch.bool)
        free[:, :num] = False
        path = self.path()
        for _ in range(self.config.num_mean_field_steps):
            state = path.clamped_sweep(state, free, generator)
        return state

    @torch.no_grad()
    def data_phase(self, x: Tensor, generator: torch.Generator) -> Phase:
        """Return the phase of rows, with the mean-field probabilities of the hidden layers."""
        v = x.flatten(1).to(self.device, self.dtype)
        coupling = LayerCoupling(self._detached())
        ones = coupling.ones(v)
        with full_precision(self.device):
            steps = self.config.num_mean_field_steps
            even, field = mean_field(coupling.layers, v, steps, _TOLERANCE, ones)
        return Phase(even, field.sigmoid(), ones)

    def _posterior(self, v: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Return converged mean-field probabilities of even layers, and fields of odd ones."""
        layers = self._detached(dtype)
        with full_precision(self.device):
            return mean_field(layers, v.to(layers.W[0].dtype), _MOST_STEPS, _TOLERANCE)

    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(state) = −log of the sum over the odd layers, (B,), of even layers (B, D)."""
        with full_precision(self.device):
            layers = self.layers(torch.promote_types(state.dtype, self.dtype))
            return -layers.log_sum_out(state.to(layers.W[0].dtype), 1)

    @torch.no_grad()
    def phase(self, state: Tensor) -> Phase:
        """Return the phase of even layers (B, D)."""
        coupling = LayerCoupling(self._detached())
        ones = coupling.ones(state)
        field = coupling.layers.odd_fields(state, ones).to(state.dtype)
        return Phase(state, field.sigmoid(), ones)

    @torch.no_grad()
    def energies_of(self, state: Tensor) -> Tensor:
        """Return F of the visible units of states by mean field, (B,).

        The state of a chain has one draw of its even hidden layers, and F of such a state is
        higher by the entropy that the other draws have. So they are replaced by mean field here.
        """
        v = state[:, : len(self.b)].contiguous()
        even, _ = mean_field(self._detached(), v, self.config.num_mean_field_steps, _TOLERANCE)
        return self._mean_field_energies(even)

    def _mean_field_energies(self, even: Tensor) -> Tensor:
        """Return E_q[E] − H(q), (B,), for v and the probabilities of the other even layers."""
        return self.free_energies(even) - entropy(even[:, len(self.b) :])

    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of F(data) − F(chain) by parameter; see `layer_gradient`."""
        rates = self.base_rates if centred else None
        with full_precision(self.device):
            d_W, d_biases = layer_gradient.contrast(self._detached(), data, chain, rates)
        return dict(zip((*self.W, self.b, *self.c), (*d_W, *d_biases), strict=True))

    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return −∂F of the rows of both phases; see `layer_gradient`."""
        rates = self.base_rates if centred else None
        parameters = (*self.W, self.b, *self.c)
        return layer_gradient.statistics(parameters, self._detached(), data, chain, rates)

    def activity(self, state: Tensor) -> Tensor:
        """Return the mean probability of each unit of the odd layers, with its graph."""
        return self.layers().fields(state, 1).sigmoid().mean(0)

    # log Z and likelihood

    @property
    def num_bits(self) -> int:
        """The number of units of the even or of the odd layers, whichever are fewer."""
        sizes = [len(self.b), *self.config.hidden_dims]
        return min(sum(sizes[0::2]), sum(sizes[1::2]))

    def log_sum(self) -> Tensor:
        """Return log Z by a sum over the states of the odd or even layers, in float64."""
        return log_sum(self.layers(torch.float64))

    @property
    def _num_even_hidden(self) -> int:
        return sum(self.config.hidden_dims[1::2])

    @property
    def sums_hidden(self) -> bool:
        """Whether the units of hidden layers that the state has are at most 12."""
        return self._num_even_hidden <= _MAX_ENUMERATED_HIDDEN

    def row_energies(self, v: Tensor) -> Tensor:
        """Return −log p(v) − log Z of visible units (B, V), (B,).

        With more than 12 units in the even hidden layers it is an upper bound, by mean field.
        """
        dtype = torch.promote_types(v.dtype, self.dtype)
        if self._num_even_hidden <= _MAX_ENUMERATED_HIDDEN:
            v = v.to(dtype)
            return enumeration.rest_summed(self.free_energies, v, self._num_even_hidden)
        even, _ = self._posterior(v, dtype)
        return self._mean_field_energies(even)

    @property
    def log_prob_kind(self) -> Literal["exact", "lower bound", "stochastic estimate"]:
        """Exact if log Z and the sum over hidden layers are; a lower bound if log Z is."""
        if partition.num_rows(self, 2):
            return "stochastic estimate"
        return "exact" if self._num_even_hidden <= _MAX_ENUMERATED_HIDDEN else "lower bound"

    def log_prob(self, x: Tensor, **options: Any) -> LogProb:
        """Return log p(x) of each example, or its mean-field lower bound; see `Machine.log_prob`.

        The bound is E_q[−E] + H(q) − log Z, with the mean-field q(h) of each row. A note says
        where it is used.
        """
        found = super().log_prob(x, **options)
        if self._num_even_hidden <= _MAX_ENUMERATED_HIDDEN:
            return found
        kind = "lower bound" if found.kind == "exact" else found.kind
        return dataclasses.replace(found, kind=kind, notes=(_BOUND, *found.notes))

    # Codes

    @property
    def codes(self) -> Space:
        """The units of the top layer, (N_L,)."""
        return Binary(shape=(self.config.hidden_dims[-1],))

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return the mean-field probabilities of the top layer, (B, N_L), of examples.

        They approximate p(h_L | x). Codes are not decoded: p(x | h_L) does not factorise, and has
        many modes.
        """
        self.checked_condition(condition, x.shape[0])
        layers = self._detached()
        even, odd = self._posterior(self.checked_rows(x).flatten(1))
        top = odd.sigmoid() if len(layers.W) % 2 else even
        return top[:, -layers.sizes[-1] :]

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw the units of the top layer from their mean-field probabilities, (B, N_L)."""
        return bernoulli(self.encode(x, condition=condition).contiguous(), generator)

    # Pictures

    @property
    def num_layers(self) -> int:
        """The number of hidden layers."""
        return len(self.W)

    def filters(self) -> Tensor:
        """Return the receptive fields of the first hidden layer, (N_1, *event_shape)."""
        return self.receptive_fields(1)

    def receptive_fields(self, layer: int) -> Tensor:
        """Return columns of W_1 ⋯ W_l, (N_l, *event_shape); see `fantasies`."""
        return self.to_data(fantasies.receptive_fields(list(self.W), layer))

    @torch.no_grad()
    def fantasies(
        self, num: int, *, generator: torch.Generator, num_inference_steps: int = 1000
    ) -> tuple[Tensor, ...]:
        """Draw states; return v, and for each h_l E[v | h_1] with the layers below h_l drawn anew.

        Arguments:
            num: The number of draws.
            generator: The generator, on the model's device.
            num_inference_steps: The number of sweeps of the chains, from the base rates. The
                layers below a layer make a tenth of them.
        """
        self.check_sums()
        layers, path, even = self._detached(), self.path(), self.start(num, generator)
        for _ in range(num_inference_steps):
            even = path.sweep(even, generator)
        odd = bernoulli(self.phase(even).p, generator)
        units = {**layers.split(even, 0), **layers.split(odd, 1)}
        x = [units[layer].contiguous() for layer in range(len(layers))]
        first = fantasies.in_machine(layers, x, 1 + num_inference_steps // 10, generator)
        return tuple(self.to_data(v) for v in (x[0], *map(self.visible_mean, first)))
