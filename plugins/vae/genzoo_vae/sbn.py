"""The sigmoid belief network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    CapabilityError,
    Component,
    ConditionSpaces,
    Config,
    ConfigError,
    DataInfo,
    Group,
    Space,
    Stage,
    batch_size_for,
)
from genzoo_vae.belief_layers import BeliefLayer
from genzoo_vae.condition_vectors import SPACES, num_values
from genzoo_vae.families.discrete import BernoulliFamily
from genzoo_vae.latents import LatentModel
from genzoo_vae.posteriors.posterior import GROUP, amortised
from genzoo_vae.posteriors.proposal import Rows

_Width = Annotated[int, Bounds(1, 2**16)]
_MOST_UNITS, _FEW_VALUES, _VALUES_PER_UNIT = 200, 256, 8


@dataclass(frozen=True, kw_only=True)
class SBNConfig(Config):
    """A sigmoid belief network."""

    event: Space
    """Zeros and ones of any shape; each place is a visible unit."""
    hidden_dims: Annotated[tuple[_Width, ...], Bounds(1, 16)] = (_MOST_UNITS,)
    """The numbers of hidden units of each layer, from the one next to x to the top."""
    mlp_dims: Annotated[tuple[_Width, ...], Bounds(0, 8)] = ()
    """The widths of layers of tanh units inside each conditional distribution; without any, its
    logits are linear."""
    autoregressive: bool = False
    """Whether a unit of p also depends on those before it in its own layer, x included."""
    posterior: Annotated[Component, Group(GROUP)] = field(default_factory=amortised)
    """How q(h | x) is found: by recognition networks, by optimisation for each example, or both;
    or the prior, if a condition decides the units."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of each condition, on which the top layer depends."""


class SBN(LatentModel[SBNConfig]):
    """A sigmoid belief network, p(x, h_1, …, h_L) = p(x | h_1) p(h_1 | h_2) … p(h_L).

    All units are zeros and ones, independent given the layer above: p(h_l = 1 | h_{l+1}) =
    σ(b + W (2 h_{l+1} − 1)). Unlike in a Boltzmann machine, drawing is one pass down and there is
    no Z, but the posterior is intractable: units that are independent are not so given x. The
    recognition networks are q(h_1 | x) q(h_2 | h_1) …, of the same form, upwards.

    With ``autoregressive`` layers, a unit also depends on those before it, h_{l,<i}, by a strictly
    lower-triangular matrix. Then p(h_L) is a fully visible belief net.

    | Connectionist Learning of Belief Networks (Neal, 1992)
    | Deep AutoRegressive Networks (Gregor, Danihelka, Mnih, Blundell, Wierstra, 2014)

    Arguments:
        config: The space of the data, the layers and the posterior.
    """

    Config = SBNConfig
    event_spaces = (Binary,)
    condition_spaces = SPACES
    papers = (
        (
            "Radford M. Neal. Connectionist Learning of Belief Networks. Artificial "
            "Intelligence 56, 1992."
        ),
        (
            "Andriy Mnih, Karol Gregor. Neural Variational Inference and Learning in Belief "
            "Networks. ICML, 2014."
        ),
        (
            "Andriy Mnih, Danilo J. Rezende. Variational Inference for Monte Carlo Objectives. "
            "ICML, 2016."
        ),
    )
    limits = (
        (
            "Its units and samples are zeros and ones: grey images must be binarised first, "
            "and likelihoods under different binarisations cannot be compared."
        ),
        (
            "Its likelihood is a lower bound that rises with the number of draws: compare it only "
            "at equal numbers."
        ),
    )

    data_seen: Tensor

    def __init__(self, config: SBNConfig) -> None:
        self._families = tuple(BernoulliFamily(num) for num in config.hidden_dims)
        super().__init__(config)
        visible, sizes = config.event.num_dims, config.hidden_dims
        conditions = num_values(config.conditions)
        # p, from x up: each layer given the one above it; the top given the conditions.
        pairs = zip((visible, *sizes), (*sizes, conditions), strict=True)
        self.generative = nn.ModuleList(
            BeliefLayer(above, below, config.mlp_dims, config.autoregressive)
            for below, above in pairs
        )
        self.recognition = nn.ModuleList()
        if self.inference.is_recognised:
            pairs = zip((visible + conditions, *sizes[:-1]), sizes, strict=True)
            self.recognition.extend(
                BeliefLayer(below, above, config.mlp_dims) for below, above in pairs
            )
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))
        self.inference.check(self)

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data.

        Rows of at most 256 values have a unit for every eight values, and tanh units between them
        and x. Few units fill the prior; of many, most draws would not be the code of any row.
        Larger rows have 200 units and linear maps.
        """
        cls.check_event(info)
        size = info[cls.event_field].num_dims
        fitted: dict[str, Any] = {"hidden_dims": (_MOST_UNITS,)}
        if size <= _FEW_VALUES:
            fitted = {
                "hidden_dims": (max(2, size // _VALUES_PER_UNIT),),
                "mlp_dims": (_FEW_VALUES, _FEW_VALUES),
            }
        return super().configure(info, conditions, **{**fitted, **overrides})

    @classmethod
    def example(cls) -> tuple[SBNConfig, Batch]:
        """Return a config with layers of 4 and 3 units, and twelve rows."""
        x = torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(0)).round()
        return SBNConfig(event=Binary(shape=(1, 3, 3)), hidden_dims=(4, 3)), {"x": x}

    @classmethod
    def default_stages(cls, config: SBNConfig) -> tuple[Stage, ...]:
        """Return the importance-weighted bound of 5 draws, by the score with VIMCO's baseline."""
        estimator = {"name": "score-function", "config": {"baseline": "leave-one-out"}}
        rate = 1e-3 if config.mlp_dims else 3e-3
        return (
            Stage(
                objective=Component(
                    name="iwae", config={"num_samples": 5, "lr": rate, "estimator": estimator}
                ),
                trainer={"max_steps": 10_000, "batch_size": 100, "lr_scheduler": "linear"},
            ),
        )

    @classmethod
    def default_sampler(cls, config: SBNConfig) -> Component:
        """Return ancestral sampling, one pass down."""
        return Component(name="prior")

    @classmethod
    def preview_sampler(cls, config: SBNConfig) -> Component:
        """Return the probabilities of x given drawn units: draws of x hide them by noise."""
        return Component(name="prior", config={"output": "mean"})

    @property
    def default_batch_size(self) -> int:
        """The number of samples that are drawn at once, by the largest layer."""
        return batch_size_for(max(self.config.event.num_dims, *self.config.hidden_dims))

    # Conditionals

    @property
    def families(self) -> tuple[BernoulliFamily, ...]:
        """Bernoulli layers."""
        return self._families

    @property
    def is_mass(self) -> bool:
        """True."""
        return True

    @property
    def has_closed_kl(self) -> bool:
        """Whether there is one layer of units that are independent in the prior."""
        return len(self.families) == 1 and not self.config.autoregressive

    @property
    def has_independent_prior(self) -> bool:
        """Not with autoregressive layers."""
        return not self.config.autoregressive

    def log_likelihood(self, rows: Rows, z: Tensor) -> Tensor:
        """Return log p(x | h_1), (K, B)."""
        x = rows.x.flatten(1).expand(z.shape[0], -1, -1)
        return BernoulliFamily(x.shape[-1]).log_prob(self._layer(0).logits(z, x), x)

    def prior_parameters(self, level: int, above: Tensor | None, y: Tensor | None) -> Tensor:
        """Return the logits of p(h_l | h_{l+1}), without those of earlier units of the layer."""
        if level < len(self.families) - 1:
            return self._layer(level + 1).logits(above)
        return self._layer(level + 1).logits(None if y is None else y[None])

    def log_prior(self, z: Sequence[Tensor], y: Tensor | None) -> Tensor:
        """Return Σ_l log p(h_l | h_{l+1}), (K, B)."""
        above: list[Tensor | None] = [*z[1:], None if y is None else y[None]]
        terms = [
            family.log_prob(self._layer(level + 1).logits(up, h), h)
            for level, (family, h, up) in enumerate(zip(self.families, z, above, strict=True))
        ]
        return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]

    def recognise(self, level: int, rows: Rows, below: Sequence[Tensor]) -> Tensor:
        """Return the logits of q(h_l | h_{l−1}), (K or 1, B, H_l)."""
        layer: Any = self.recognition[level]
        if level:
            found: Tensor = layer.logits(below[-1])
            return found
        x = rows.x.flatten(1)
        first: Tensor = layer.logits((x if rows.y is None else torch.cat([x, rows.y], 1))[None])
        return first

    def kl(self, parameters: Tensor, y: Tensor | None) -> Tensor:
        """Return KL(q(h_j) ‖ p(h_j)), (1, B, H)."""
        return self.families[0].kl(parameters, self.prior_parameters(0, None, y))

    def recognition_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the recognition networks."""
        return list(self.recognition.parameters())

    # Draws

    def draw_top(self, num: int, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw h_L, (num, H_L)."""
        return self._layer(len(self.families)).draw(y, num, generator)

    def draw_below(
        self, z: Tensor, y: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw each layer given the one above it."""
        layers = [z]
        for level in range(len(self.families) - 1, -1, -1):
            layers.append(self._layer(level).draw(layers[-1], len(z), generator))
        x, *rest = reversed(layers)
        return x.view(-1, *self.event_shape), *rest

    def mean_below(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Return probabilities of x with those of each layer between in the place of its units."""
        p = z
        for level in range(len(self.families) - 1, -1, -1):
            p = self._layer(level).mean(p)
        return p.view(-1, *self.event_shape)

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return probabilities of the top layer's units, (B, H_L), with those of layers below."""
        return self.inferred(x, condition=condition).sigmoid()

    def _layer(self, index: int) -> BeliefLayer:
        found: Any = self.generative[index]
        layer: BeliefLayer = found
        return layer

    # Pictures

    @property
    def num_layers(self) -> int:
        """The number of hidden layers."""
        return len(self.families)

    def filters(self) -> Tensor:
        """Return what each unit of the first layer adds to x, (H_1, *event_shape)."""
        return self.receptive_fields(1)

    @torch.no_grad()
    def receptive_fields(self, layer: int) -> Tensor:
        """Return how much each unit changes the mean of x, (H_l, *event_shape).

        That is E[x | h_l with unit j on] − E[x | h_l with it off], where the other units and the
        layers between have their mean under the prior.

        Raises:
            ConfigError: The layer is not from 1 to `num_layers`.
        """
        if not 1 <= layer <= self.num_layers:
            raise ConfigError(
                f"This sbn has the layers 1 to {self.num_layers}, got {layer}. Give one of them."
            )
        p = self._usual(layer)
        eye = torch.eye(p.shape[1], dtype=torch.bool, device=self.device)
        on, off = (torch.where(eye, value, p) for value in (1.0, 0.0))
        for level in range(layer - 1, -1, -1):
            on, off = self._layer(level).mean(on), self._layer(level).mean(off)
        return (on - off).view(-1, *self.event_shape)

    def _usual(self, layer: int) -> Tensor:
        """Return probabilities of a layer's units, (1, H_l), with those of the layers above.

        If conditions decide the top layer, its probabilities are ½.
        """
        p = torch.full((1, self.config.hidden_dims[-1]), 0.5, device=self.device, dtype=self.dtype)
        if not self.conditions:
            p = self._layer(self.num_layers).mean(None)
        for level in range(self.num_layers - 1, layer - 1, -1):
            p = self._layer(level).mean(p)
        return p

    @torch.no_grad()
    def fantasies(
        self, num: int, *, generator: torch.Generator, num_inference_steps: int = 1000
    ) -> tuple[Tensor, ...]:
        """Return x, and for each layer E[x | h_1] with the layers below drawn anew.

        Raises:
            CapabilityError: The model needs a condition.
        """
        if self.conditions:
            raise CapabilityError(
                f"Layers are drawn without a condition, and this sbn needs "
                f"{', '.join(self.conditions)}. Use a model without conditions."
            )
        x, *layers = self.draw_below(self.draw_top(num, None, generator), None, generator)
        shown = [x]
        for level, h in enumerate(layers):
            for below in range(level, 0, -1):
                h = self._layer(below).draw(h, num, generator)
            shown.append(self._layer(0).mean(h).view(-1, *self.event_shape))
        return tuple(shown)

    # Data

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    @torch.no_grad()
    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Initialise the offsets of x to the data's log-odds."""
        mean = info.mean["x"] if "x" in info.mean else batch["x"].mean(0)
        p = mean.to(self.device, self.dtype).flatten().clamp(1e-3, 1 - 1e-3)
        self._layer(0).start_from(torch.logit(p))
        self.data_seen.fill_(True)
