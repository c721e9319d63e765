"""The deep belief net: directed layers below, a restricted Boltzmann machine on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    CapabilityError,
    Component,
    Config,
    ConfigError,
    DataInfo,
    GenerativeModel,
    LogProb,
    Space,
    Stage,
    batch_size_for,
    fresh_generator,
)
from genzoo_boltzmann import belief_bound, fantasies, partition, stacking, suiting
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.log_partition import LogPartition
from genzoo_boltzmann.rbm import RBM, RBMConfig

_Size = Annotated[int, Bounds(1, 2**20)]


@dataclass(frozen=True, kw_only=True)
class DBNConfig(Config):
    """A deep belief net."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    hidden_dims: Annotated[tuple[_Size, ...], Bounds(2, 16)] = (500, 784)
    """The numbers of hidden units, from the layer above the visible one to the top."""

    def __post_init__(self) -> None:
        """Name the model for one layer of hidden units."""
        if isinstance(self.hidden_dims, (list, tuple)) and len(self.hidden_dims) == 1:
            raise ConfigError(
                f"A deep belief net has at least two layers of hidden units, not hidden_dims = "
                f"{list(self.hidden_dims)}. With one layer it is an RBM: use the model 'rbm'."
            )
        super().__post_init__()


class DBN(GenerativeModel[DBNConfig]):
    """A deep belief net, p(v, h₁, …, h_L) = p(v | h₁) p(h₁ | h₂) … p(h_{L−1}, h_L).

    The two layers at the top are an RBM. Each layer below is directed: p(h_l | h_{l+1}) has the
    probabilities σ(b_l + W_l h_{l+1}), with v = h₀. A recognition net approximates the posterior
    from below, q(h_{l+1} | h_l) = σ(c_l + R_lᵀ h_l).

    Each layer with the next one is an `RBM`, ``rbms.0`` to the top, whose W_l, b_l and c_l these
    are. They are trained one after the other on codes of those below. Until then R_l is W_l, so
    that the net of the first l machines has a bound of its own; `init_from_data` then makes R_l,
    ``recognition.l``, a parameter, and the objective ``up-down`` learns both. From then on
    train it by ``up-down`` alone.

    A machine starts from the one below it, transposed, if its hidden units are at least as many
    as the layer below has visible ones: W_{l+1} = W_lᵀ, b_{l+1} = c_l, c_{l+1} = b_l. Then p(v) is
    the same as before, and more training of it can only raise the bound. Further hidden units
    start with small weights.

    | A Fast Learning Algorithm for Deep Belief Nets (Hinton, Osindero, Teh, 2006)

    Arguments:
        config: The space of the data and the numbers of hidden units.
    """

    Config = DBNConfig
    event_spaces = (Binary,)
    default_num_samples = partition.NUM_CHAINS
    papers = (
        (
            "Geoffrey E. Hinton, Simon Osindero, Yee-Whye Teh. A Fast Learning Algorithm for Deep "
            "Belief Nets. Neural Computation 18(7), 2006."
        ),
        (
            "Ruslan Salakhutdinov, Iain Murray. On the Quantitative Analysis of Deep Belief "
            "Networks. ICML, 2008."
        ),
    )
    limits = (
        (
            "Its units and samples are zeros and ones: grey images must be binarised first, "
            "and likelihoods under different binarisations cannot be compared."
        ),
        (
            "If the hidden layers below the top have more than 22 units together, its likelihood "
            "is a variational bound, below log p by an unknown gap, and log Z of the top machine "
            "may be an estimate: read the figure with its interval."
        ),
        "Its samples are as good as the chains of the top machine, which may mix slowly.",
    )

    untied: Tensor

    def __init__(self, config: DBNConfig) -> None:
        super().__init__(config)
        events = (config.event, *(Binary(shape=(num,)) for num in config.hidden_dims))
        self.rbms = nn.ModuleList(
            RBM(RBMConfig(event=event, num_hidden=num))
            for event, num in zip(events[:-1], config.hidden_dims, strict=True)
        )
        self.recognition = nn.ParameterList(
            nn.Parameter(torch.zeros_like(rbm.W)) for rbm in self.machines[:-1]
        )
        self.register_buffer("untied", torch.zeros((), dtype=torch.bool))

    @classmethod
    def example(cls) -> tuple[DBNConfig, Batch]:
        """Return the config of a net of 6 + 4 + 6 units, and eight rows."""
        x = torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
        return DBNConfig(event=Binary(shape=(1, 2, 3)), hidden_dims=(4, 6)), {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> DBNConfig:
        """Return a config that fits the data; see `suiting.hidden_dims`."""
        cls.check_event(info)
        fitted = suiting.hidden_dims(info[cls.event_field])
        return super().configure(info, conditions, **{"hidden_dims": fitted, **overrides})

    @classmethod
    def default_stages(cls, config: DBNConfig) -> tuple[Stage, ...]:
        """Return one stage of `pcd` for each machine, from below, and one of `up-down`."""
        return suiting.greedy(config.event, config.hidden_dims)

    @classmethod
    def default_sampler(cls, config: DBNConfig) -> Component:
        """Return a chain in the top machine, and one draw of each layer below."""
        return Component(name="ancestral")

    @classmethod
    def preview_sampler(cls, config: DBNConfig) -> Component:
        """Return the same with few sweeps, which may not have reached the model."""
        return Component(name="ancestral", config={"num_steps": 100})

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the largest layer."""
        return batch_size_for(max(max(rbm.W.shape) for rbm in self.machines))

    # Layers

    @property
    def machines(self) -> list[RBM]:
        """The machines, from the one of the visible units to the top."""
        found: list[Any] = list(self.rbms)
        return found

    @property
    def top(self) -> RBM:
        """The machine of the two layers at the top."""
        return self.machines[-1]

    def recognition_logits(self, level: int, h: Tensor, *, untied: bool | None = None) -> Tensor:
        """Return c_l + R_lᵀ h_l, (B, D_{l+1}), for units h_l (B, D_l); for the top, W is R."""
        rbm = self.machines[level]
        # To read the buffer waits for the device, so its value is given where it is known.
        is_own = level < len(self.recognition) and (self.untied if untied is None else untied)
        return torch.addmm(rbm.c, h, self.recognition[level] if is_own else rbm.W)

    def draw_up(
        self, v: Tensor, generator: torch.Generator, *, untied: bool | None = None
    ) -> list[Tensor]:
        """Draw h₁, …, h_{L−1} from q given visible units (B, V); return them after v."""
        layers = [v]
        for level in range(len(self.rbms) - 1):
            p = self.recognition_logits(level, layers[-1], untied=untied).sigmoid()
            layers.append(bernoulli(p, generator))
        return layers

    def draw_down(self, h: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Draw h_{L−2}, …, v given h_{L−1} (B, D_{L−1}); return v, h₁, …, h_{L−1}."""
        layers = [h]
        for rbm in reversed(self.machines[:-1]):
            layers.append(bernoulli(rbm.visible_mean(layers[-1]), generator))
        return layers[::-1]

    def check_sums(self) -> None:
        """Raise if sums of the weights could overflow; see `Machine.check_sums`.

        Raises:
            NotFiniteWeightsError: A bound of the sums is not finite in the parameters' dtype.
        """
        for rbm in self.machines:
            rbm.check_sums()

    def to_data(self, state: Tensor) -> Tensor:
        """Return visible units (B, V) as examples (B, *event_shape)."""
        return state.reshape(-1, *self.event_shape)

    # Codes

    @property
    def codes(self) -> Space:
        """The units of the top layer, (H_L,)."""
        return self.top.codes

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return probabilities of the top layer's units, (B, H_L), of examples.

        The probabilities of each layer stand for its units in the next, so with draws between
        them the probabilities would differ a little.
        """
        self.checked_condition(condition, x.shape[0])
        p = self.checked_rows(x).flatten(1)
        for level in range(len(self.rbms)):
            p = self.recognition_logits(level, p).sigmoid()
        return p

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw every layer in turn given examples, and return the top one, (B, H_L)."""
        self.checked_condition(condition, x.shape[0])
        h = self.draw_up(self.checked_rows(x).flatten(1), generator)[-1]
        return self.top.draw_hidden(h, generator)

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return probabilities of ones, (B, *event_shape), given the top layer; see `encode`."""
        self.checked_condition(condition, z.shape[0])
        return self.project(len(self.rbms), self.checked_codes(z, self.codes.event_shape))

    def project(self, level: int, h: Tensor) -> Tensor:
        """Return probabilities of ones, (B, *event_shape), given units h_level, (B, D_level)."""
        for rbm in reversed(self.machines[:level]):
            h = rbm.visible_mean(h)
        return self.to_data(h)

    @torch.no_grad()
    def draw_layers(
        self, num: int, *, generator: torch.Generator, num_inference_steps: int = 1000
    ) -> tuple[Tensor, ...]:
        """Draw all layers from the net: v (num, V), h₁, …, h_L.

        Arguments:
            num: The number of draws.
            generator: The generator, on the model's device.
            num_inference_steps: The number of sweeps in the top machine.
        """
        self.check_sums()
        path, h = self.top.path(), self.top.start(num, generator)
        for _ in range(num_inference_steps):
            h = path.sweep(h, generator)
        return (*self.draw_down(h, generator), self.top.draw_hidden(h, generator))

    # Pictures

    @property
    def num_layers(self) -> int:
        """The number of hidden layers."""
        return len(self.rbms)

    def filters(self) -> Tensor:
        """Return the receptive fields of the first hidden layer, (H₁, *event_shape)."""
        return self.receptive_fields(1)

    def receptive_fields(self, layer: int) -> Tensor:
        """Return columns of W₀ ⋯ W_{l−1}, (H_l, *event_shape); see `fantasies`."""
        return self.to_data(fantasies.receptive_fields([rbm.W for rbm in self.machines], layer))

    @torch.no_grad()
    def fantasies(
        self, num: int, *, generator: torch.Generator, num_inference_steps: int = 1000
    ) -> tuple[Tensor, ...]:
        """Return v, and for each h_l E[v | h₁] with the layers below drawn anew."""
        layers = self.draw_layers(
            num, generator=generator, num_inference_steps=num_inference_steps
        )
        first = fantasies.in_net(self.machines, layers, generator)
        return (self.to_data(layers[0]), *(self.project(1, h) for h in first))

    # Likelihood

    @property
    def _num_summed_bits(self) -> int:
        """The number of units of all hidden layers below the top."""
        return sum(self.config.hidden_dims[:-1])

    @property
    def log_prob_kind(self) -> Literal["exact", "lower bound", "stochastic estimate"]:
        """Exact if the hidden layers below the top can be enumerated; else a bound.

        A bound whose log Z is estimated is a stochastic estimate.
        """
        if self._num_summed_bits <= partition.MAX_ENUMERATED:
            return "exact"
        return "lower bound" if self.top.log_prob_kind == "exact" else "stochastic estimate"

    def num_held_out(self, num_samples: int | None = None) -> int:
        """Return the number of rows that `log_prob` takes as ``start``."""
        return self.top.num_held_out(self.checked_num_samples(num_samples))

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
        """Return log p(x) of each example of ``x`` (N, *event_shape), or a bound, in nats.

        If the hidden layers below the top have at most 22 units together, it is exact. If not, it
        is the variational bound E_q[log p*(h_{L−1}) + Σ_l log p(h_l | h_{l+1})] + H(q) − log Z,
        whose expectation is a mean over draws of q, with its standard error. p* and log Z are
        those of the top machine, with an interval as for an RBM.

        Arguments:
            x: The examples.
            condition: None; the model takes none.
            generator: The generator of the estimate, on the model's device.
            num_samples: The number of draws of q for each row, and of annealed chains of the top
                machine in each direction; 100 by default.
            start: The rows whose codes reverse chains start at, (K, *event_shape), preferably not
                in ``x``; by default rows of ``x``, and a note says so.
            log_partition: An earlier estimate of the top machine's log Z.

        Raises:
            CapabilityError: Gradients are enabled, and the value is not exact.
        """
        self.check_rows(x)
        self.check_sums()
        self.checked_condition(condition, len(x))
        num = self.checked_num_samples(num_samples)
        if torch.is_grad_enabled():
            return self._differentiable(x)
        draw = generator or fresh_generator(self.device)
        log_z = log_partition or self._log_partition(x, start, draw, num)
        if self.log_prob_kind == "exact":
            return log_z.of_rows(belief_bound.sums(self, x))
        means, errors = belief_bound.bounds(self, x, num, draw)
        found = log_z.of_rows(means)
        kind = self.log_prob_kind if found.kind == "exact" else found.kind
        notes = (belief_bound.NOTE, *found.notes)
        known = errors if num > 1 else None  # One draw does not show its error.
        return replace(found, kind=kind, std_errors=known, notes=notes)

    def _differentiable(self, x: Tensor) -> LogProb:
        """Return log p(x) with its graph, where it is exact."""
        if self.log_prob_kind != "exact":
            raise CapabilityError(
                f"The hidden layers below the top have {self._num_summed_bits} units, too many to "
                "sum over, and the bound by draws has no useful gradient. Train with the "
                "objective 'up-down'; for the value alone, call log_prob under torch.no_grad()."
            )
        values = belief_bound.sums(self, x) - partition.differentiable(self.top)
        return LogProb(values=values.to(self.dtype), kind="exact", measure="mass")

    def _log_partition(
        self, x: Tensor, start: Tensor | None, generator: torch.Generator, num: int
    ) -> LogPartition:
        """Return log Z of the top machine; reverse chains start at codes of rows."""
        needed = self.top.num_held_out(num)

        def codes(rows: Tensor) -> Tensor:
            v = rows[:needed].flatten(1).to(self.device, self.dtype)
            return self.draw_up(v, generator)[-1]

        at = None if start is None else codes(start)
        return self.top.log_partition_for(codes(x), at, generator, num)

    # Data

    def needs_data_init(self) -> bool:
        """Whether the recognition weights are still those of the machines."""
        return not bool(self.untied)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Start machines that have not been trained, and untie the recognition weights."""
        stacking.start_rest(self.machines, batch, info)
        for R, rbm in zip(self.recognition, self.machines[:-1], strict=True):
            R.copy_(rbm.W)
        self.untied.fill_(True)

    def init_nested(self, name: str, batch: Batch, info: DataInfo) -> None:
        """Start one of the machines, ``rbms.0`` and so on, from data, or from the one below.

        Arguments:
            name: The name of the submodule.
            batch: A batch of its data.
            info: Their description.
        """
        level = next(i for i, rbm in enumerate(self.rbms) if rbm is self.get_submodule(name))
        stacking.start(self.machines, level, batch, info)
