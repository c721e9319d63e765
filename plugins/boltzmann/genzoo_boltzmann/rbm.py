"""The restricted Boltzmann machine with binary units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Component,
    Config,
    DataInfo,
    GenerativeModel,
    LogProb,
    Note,
    NotFiniteWeightsError,
    Space,
    Stage,
    batch_size_for,
    bernoulli,
    by_blocks,
)
from genzoo_boltzmann import partition
from genzoo_boltzmann.precision import full_precision

_RATE_FLOOR = 1e-3
_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class RBMConfig(Config):
    """A restricted Boltzmann machine."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    num_hidden: Annotated[int, Bounds(1, 2**20)] = 500
    """The number of hidden units."""


class RBM(GenerativeModel[RBMConfig]):
    """A restricted Boltzmann machine of binary units, E(v, h) = −vᵀWh − bᵀv − cᵀh.

    p(v, h) = exp(−E(v, h)) / Z. Both conditionals factorise: p(h_j = 1 | v) = σ(c + vᵀW)_j and
    p(v_i = 1 | h) = σ(b + Wh)_i. Parameters: ``W`` (visible × hidden), ``b`` and ``c``.

    The base rates, the mean of each visible unit over the training data, are kept as a buffer:
    chains and annealed importance sampling start from them.

    | Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002)
    | A Practical Guide to Training Restricted Boltzmann Machines (Hinton, 2010)

    Arguments:
        config: The space of the data and the number of hidden units.
    """

    Config = RBMConfig
    event_spaces = (Binary,)
    default_num_samples = partition.NUM_CHAINS
    papers = (
        (
            "Paul Smolensky. Information Processing in Dynamical Systems: Foundations of Harmony "
            "Theory. In: Parallel Distributed Processing, volume 1, MIT Press, 1986."
        ),
        (
            "Geoffrey E. Hinton. Training Products of Experts by Minimizing Contrastive "
            "Divergence. Neural Computation 14(8), 2002."
        ),
        (
            "Tijmen Tieleman. Training Restricted Boltzmann Machines using Approximations to the "
            "Likelihood Gradient. ICML, 2008."
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
            "With more than 22 units in both layers, log Z is an estimate: read the likelihood "
            "with its interval, and do not use one that is marked unreliable."
        ),
        (
            "Its chains mix slowly. Samples after few sweeps have too many of some kinds of data "
            "and too few of others; the sampler tempered-gibbs takes longer and mixes better."
        ),
    )

    W: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter
    base_rates: Tensor
    data_seen: Tensor

    def __init__(self, config: RBMConfig) -> None:
        super().__init__(config)
        num_visible, num_hidden = math.prod(self.event_shape), config.num_hidden
        self.W = nn.Parameter(torch.empty(num_visible, num_hidden).normal_(std=0.01))
        self.b = nn.Parameter(torch.zeros(num_visible))
        self.c = nn.Parameter(torch.zeros(num_hidden))
        self.register_buffer("base_rates", torch.full((num_visible,), 0.5))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def example(cls) -> tuple[RBMConfig, Batch]:
        """Return the config of a machine of 6 + 4 units, and eight rows."""
        x = torch.rand(8, 1, 2, 3, generator=torch.Generator().manual_seed(0)).round()
        return RBMConfig(event=Binary(shape=(1, 2, 3)), num_hidden=4), {"x": x}

    @classmethod
    def default_stages(cls, config: RBMConfig) -> tuple[Stage, ...]:
        """Return centred persistent contrastive divergence with a falling learning rate."""
        return (
            Stage(
                objective=Component(name="pcd"),
                trainer={"max_steps": 5000, "batch_size": 100, "lr_scheduler": "linear"},
            ),
        )

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the larger layer."""
        return batch_size_for(max(self.W.shape))

    @classmethod
    def default_sampler(cls, config: RBMConfig) -> Component:
        """Return block Gibbs sampling."""
        return Component(name="gibbs")

    def to_data(self, state: Tensor) -> Tensor:
        """Return visible units (B, V) as examples (B, *event_shape)."""
        return state.reshape(-1, *self.event_shape)

    # Conditionals

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return c + vᵀW, (B, H), for visible units (B, V)."""
        return torch.addmm(self.c, v, self.W)

    def visible_logits(self, h: Tensor) -> Tensor:
        """Return b + Wh, (B, V), for hidden units (B, H)."""
        return torch.addmm(self.b, h, self.W.T)

    def hidden_given(self, x: Tensor) -> Bernoulli:
        """Return p(h | x), (B, H), for examples (B, *event_shape)."""
        return Bernoulli(logits=self.hidden_logits(x.flatten(1)))

    def visible_given(self, h: Tensor) -> Bernoulli:
        """Return p(v | h), (B, *event_shape), for hidden units (B, H)."""
        return Bernoulli(logits=self.to_data(self.visible_logits(h)))

    @property
    def codes(self) -> Space:
        """The hidden units, (H,)."""
        return Binary(shape=(self.config.num_hidden,))

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return p(h_j = 1 | x), (B, H), of examples (B, *event_shape)."""
        self.checked_condition(condition, len(x))
        return self.hidden_logits(self.checked_rows(x).flatten(1)).sigmoid()

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Draw hidden units h ~ p(h | x), (B, H), of examples (B, *event_shape)."""
        self.checked_condition(condition, len(x))
        logits = self.hidden_logits(self.checked_rows(x).flatten(1))
        return bernoulli(logits=logits, generator=generator)

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return p(v_i = 1 | h = z), (B, *event_shape), of hidden units (B, H)."""
        self.checked_condition(condition, len(z))
        z = self.checked_codes(z, self.codes.event_shape)
        return self.to_data(self.visible_logits(z)).sigmoid()

    def check_sums(self) -> None:
        """Raise if sums of the weights could overflow, so that a unit's field would be NaN.

        A draw compares a uniform number with a probability, which is false for NaN, so such a
        machine would draw zeros. The maximum sum of any state is therefore bounded beforehand, and
        draws need not be checked.

        Raises:
            NotFiniteWeightsError: The bound is not finite in the parameters' dtype.
        """
        ends = torch.stack([end for p in (self.W, self.b, self.c) for end in p.detach().aminmax()])
        sizes = [self.W.numel()] * 2 + [self.b.numel()] * 2 + [self.c.numel()] * 2
        bound = sum(abs(end) * n for end, n in zip(ends.double().tolist(), sizes, strict=True))
        if not bound < torch.finfo(self.dtype).max:
            raise NotFiniteWeightsError(
                f"The weights of this RBM are not finite, or so large that sums of them overflow "
                f"{self.dtype}: their values reach {ends.abs().max().item():g}. Training may have "
                "diverged: take an earlier checkpoint, or model.double()."
            )

    # Energies

    def joint_energy(self, v: Tensor, h: Tensor) -> Tensor:
        """Return E(v, h) = −vᵀWh − bᵀv − cᵀh, (B,), for units (B, V) and (B, H).

        It is computed in the wider dtype of ``v`` and the parameters, also under autocast.
        """
        with full_precision(self.device):
            v, W, b, c = self._widened(v)
            h = h.to(v.dtype)
            return -((v @ W) * h).sum(1) - v @ b - h @ c

    def free_energy(self, v: Tensor) -> Tensor:
        """Return F(v) = −bᵀv − Σ_j log(1 + exp(c + vᵀW)_j) = −log Σ_h exp(−E(v, h)), (B,).

        It is computed in the wider one of the types of ``v`` and the parameters, also under
        autocast: give ``v`` in float64 where it becomes a figure.

        Raises:
            DataError: ``v`` does not have zeros and ones, (B, V).
        """
        self.check_rows(v, space=Binary(shape=(len(self.b),)))
        return self._free_energy(v.to(self.device))

    def _free_energy(self, v: Tensor) -> Tensor:
        with full_precision(self.device):
            v, W, b, c = self._widened(v)
            return -(v @ b) - F.softplus(torch.addmm(c, v, W)).sum(1)

    def _widened(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        dtype = torch.promote_types(v.dtype, self.dtype)
        return v.to(dtype), self.W.to(dtype), self.b.to(dtype), self.c.to(dtype)

    def energy(self, x: Tensor) -> Tensor:
        """Return the free energy, −log p(x) − log Z, (B,), of examples (B, *event_shape)."""
        self.check_rows(x)
        return self._free_energy(x.to(self.device).flatten(1))

    # Likelihood

    def log_partition_function(
        self,
        method: Literal["exact", "ais", "reverse-ais"] = "ais",
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> partition.LogPartition:
        """Return log Z; see `genzoo_boltzmann.partition` for methods and their options.

        Raises:
            CapabilityError: The method is "exact", but both layers have more than 22 units.
            ConfigError: The method is unknown.
            NotFiniteWeightsError: The weights are not finite, or so large that sums overflow.
        """
        self.check_sums()
        return partition.estimate(self, method, generator=generator, **options)

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
        log_partition: partition.LogPartition | None = None,
    ) -> LogProb:
        """Return log p(x) = −F(x) − log Z of each example of ``x`` (N, *event_shape), in nats.

        A row with a probability above 1 shows that log Z is too low, and a note says so.

        log Z is exact if the smaller layer can be enumerated. Otherwise annealed importance
        sampling estimates it, and a reverse run gives the other end of the interval: the first
        makes the likelihood look too good, the second too bad. Half of the reverse chains start at
        rows of data, to detect a mode that annealing misses.

        Arguments:
            x: Zeros and ones.
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
        log_z = log_partition or self._log_partition(x, start, generator, num_samples)
        negative_energy = by_blocks(lambda rows: -self._energies(x[rows]), len(x), _ROWS)
        return log_z.of_rows(negative_energy)

    def _energies(self, x: Tensor) -> Tensor:
        """Return F(x), (B,), in float64."""
        return self._free_energy(x.flatten(1).to(self.device, torch.float64))

    def _differentiable(self, x: Tensor) -> LogProb:
        """Return log p(x) with its graph; both terms are computed in float64."""
        values = -self._energies(x) - partition.differentiable(self)
        return LogProb(values=values.to(self.dtype), kind="exact", measure="mass")

    def _log_partition(
        self,
        x: Tensor,
        start: Tensor | None,
        generator: torch.Generator | None,
        num_samples: int | None,
    ) -> partition.LogPartition:
        num_chains = self.checked_num_samples(num_samples)
        rows = start if start is not None else x if len(x) else None
        log_z = partition.best(self, start=rows, generator=generator, num_chains=num_chains)
        if start is not None or self.num_held_out(num_samples) == 0:
            return log_z
        text = "Half of the reverse chains began at rows that are judged, for want of others."
        notes = (*log_z.estimate.notes, Note("starts-judged", text))
        return replace(log_z, estimate=replace(log_z.estimate, notes=notes))

    # Data and inpainting

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Set the base rates to the data's mean, and b to their log-odds."""
        mean = info.mean["x"] if "x" in info.mean else batch["x"].mean(0)
        rates = mean.to(self.base_rates).flatten().clamp(_RATE_FLOOR, 1 - _RATE_FLOOR)
        self.base_rates.copy_(rates)
        self.b.copy_(torch.logit(rates))
        self.data_seen.fill_(True)

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
        from genzoo_boltzmann.fast_bernoulli import bernoulli
        from genzoo_boltzmann.gibbs import sweep

        x, mask = self.checked_inpainting(x, mask)
        self.check_sums()
        free, clamped = mask.flatten(1), x.flatten(1)
        v = torch.where(free, bernoulli(self.base_rates.expand_as(clamped), generator), clamped)
        for _ in range(num_inference_steps):
            v = torch.where(free, sweep(self, v, generator), clamped)
        return self.to_data(v)

    def filters(self) -> Tensor:
        """Return the weights of each hidden unit, (H, *event_shape)."""
        return self.to_data(self.W.detach().T)
