"""The convolutional restricted Boltzmann machine with probabilistic max-pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Binary,
    Bounds,
    Config,
    ConfigError,
    DataInfo,
    Space,
    Stage,
    batch_size_for,
)
from genzoo_boltzmann import convolution, enumeration, suiting
from genzoo_boltzmann.binary_machine import BinaryMachine
from genzoo_boltzmann.convolution import Convolution
from genzoo_boltzmann.couplings import Coupling
from genzoo_boltzmann.fast_bernoulli import bernoulli
from genzoo_boltzmann.machine import Gradients, Phase
from genzoo_boltzmann.natural_gradient import Statistics, Term
from genzoo_boltzmann.path import TwoBlockPath
from genzoo_boltzmann.pooled_units import PooledHidden
from genzoo_boltzmann.precision import full_precision
from genzoo_boltzmann.two_blocks import TwoBlockMachine
from genzoo_boltzmann.units import BernoulliHidden, BernoulliVisible, HiddenUnits

# Up to this number of weights a product with the unrolled filters is faster than convolutions.
_MOST_UNROLLED = 2**19


@dataclass(frozen=True, kw_only=True)
class ConvRBMConfig(Config):
    """A convolutional restricted Boltzmann machine."""

    event: Space
    """Images of zeros and ones, (channels, height, width), of any size."""
    num_filters: Annotated[int, Bounds(1, 2**16)] = 32
    """The number of filters, each of which has a map of hidden units."""
    filter_size: Annotated[int, Bounds(1, 1024)] = 5
    """The height and width of a filter."""
    pool: Annotated[int, Bounds(1, 64)] = 2
    """The height and width of the blocks of a map in which at most one unit is on; 1 for no
    pooling."""

    def __post_init__(self) -> None:
        """Check that filters fit into the image, and blocks into the maps."""
        super().__post_init__()
        shape, size = self.event.event_shape, self.filter_size
        if len(shape) != 3:
            raise ConfigError(
                "A convolutional machine models images (channels, height, width), not rows of "
                f"shape {shape}; use an rbm."
            )
        _, height, width = self.maps
        if min(height, width) < 1:
            raise ConfigError(
                f"Filters of {size} × {size} do not fit into images of {shape[1]} × {shape[2]}; "
                "choose a smaller filter_size."
            )
        if height % self.pool or width % self.pool:
            raise ConfigError(
                f"pool={self.pool} does not divide maps of {height} × {width} hidden units, which "
                f"filters of {size} × {size} leave of {shape[1]} × {shape[2]} pixels; choose "
                "another pool or filter_size."
            )

    @property
    def maps(self) -> tuple[int, int, int]:
        """The number of maps, their height and their width."""
        _, height, width = self.event.event_shape
        return self.num_filters, height - self.filter_size + 1, width - self.filter_size + 1


class ConvRBM(BinaryMachine, TwoBlockMachine[ConvRBMConfig]):
    """A convolutional RBM, E(v, h) = −Σ_k Σ_r h^k_r (w^k ⋆ v)_r − Σ_k c_k Σ_r h^k_r − bᵀv.

    The filters w^k are at all places r of the image at which they fit. In each block of p × p
    places of a map at most one hidden unit is on (`PooledHidden`); the pooling unit of the block
    is on if one is. Without pooling, p = 1, it is the RBM whose weights are the filters, unrolled.
    Parameters: ``W`` (filters × channels × size × size), ``c`` for each filter, ``b`` for each
    pixel.

    Its codes are the hidden units, since x given these is known: E[v | h] is what `decode`
    returns. `pooled` returns the features of an image for other uses, which are fewer and move
    less with the image.

    | Convolutional Deep Belief Networks for Scalable Unsupervised Learning of Hierarchical
    | Representations (Lee, Grosse, Ranganath, Ng, 2009)

    Arguments:
        config: The space of the images, the filters and the pooling.
    """

    Config = ConvRBMConfig
    event_spaces = (Binary,)
    papers = (
        (
            "Honglak Lee, Roger Grosse, Rajesh Ranganath, Andrew Y. Ng. Convolutional Deep Belief "
            "Networks for Scalable Unsupervised Learning of Hierarchical Representations. ICML, "
            "2009."
        ),
    )
    limits = (
        (
            "Its units and samples are zeros and ones: grey images must be binarised first, "
            "and likelihoods under different binarisations cannot be compared."
        ),
        (
            "Its likelihood is exact only for tiny images: else log Z is an estimate, to be read "
            "with its interval, and not to be used if it is marked unreliable."
        ),
        (
            "Where its filters see a small part of the image, samples have the right strokes and "
            "textures rather than the right shapes."
        ),
    )

    W: nn.Parameter
    b: nn.Parameter
    c: nn.Parameter

    def __init__(self, config: ConvRBMConfig) -> None:
        super().__init__(config)
        num_visible, size = math.prod(self.event_shape), config.filter_size
        filters = (config.num_filters, self.event_shape[0], size, size)
        self.W = nn.Parameter(torch.empty(filters).normal_(std=0.01))
        self.b = nn.Parameter(torch.zeros(num_visible))
        self.c = nn.Parameter(torch.zeros(config.num_filters))
        self.register_buffer("base_rates", torch.full((num_visible,), 0.5))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))
        self.hidden = _hidden_units(math.prod(config.maps), config.pool**2)

    @classmethod
    def example(cls) -> tuple[ConvRBMConfig, Batch]:
        """Return the config of a machine of 3 × 4 pixels and two filters, and eight rows."""
        x = torch.rand(8, 1, 3, 4, generator=torch.Generator().manual_seed(0)).round()
        event = Binary(shape=(1, 3, 4))
        config = ConvRBMConfig(event=event, num_filters=2, filter_size=2, pool=1)
        return config, {"x": x}

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> ConvRBMConfig:
        """Return a config that fits the data; see `suiting.filters`."""
        cls.check_event(info)
        shape = info[cls.event_field].event_shape
        given = {name: overrides.get(name) for name in ("filter_size", "pool")}
        fitted = {}
        if len(shape) == 3:
            fitted = suiting.num_filters(shape) | suiting.filters(shape, **given)
        return super().configure(info, conditions, **{**fitted, **overrides})

    @classmethod
    def default_stages(cls, config: ConvRBMConfig) -> tuple[Stage, ...]:
        """Return centred persistent contrastive divergence; see `suiting.convolution`."""
        return (suiting.convolution(config.event.event_shape),)

    @property
    def default_batch_size(self) -> int:
        """The number of chains that run at once, by the larger layer."""
        return batch_size_for(max(len(self.b), math.prod(self.config.maps)))

    # Conditionals

    def hidden_logits(self, v: Tensor) -> Tensor:
        """Return c + w ⋆ v, (B, H), for visible units (B, V).

        Hidden units are in the order of `convolution.units_of_maps`.
        """
        return self._field(v, self.W, self.c)

    def _field(self, v: Tensor, W: Tensor, c: Tensor) -> Tensor:
        pool = self.config.pool
        filters, biases = convolution.bank(W, pool), c.repeat(pool**2)
        return F.conv2d(v.view(len(v), *self.event_shape), filters, biases, stride=pool).flatten(1)

    def hidden_probabilities(self, v: Tensor) -> Tensor:
        """Return p(h_j = 1 | v), (B, H), for visible units (B, V)."""
        return self.hidden.probabilities(self.hidden_logits(v))

    def draw_hidden(self, v: Tensor, generator: torch.Generator) -> Tensor:
        """Draw h ~ p(h | v), (B, H), for visible units (B, V)."""
        return self.hidden.draw(self.hidden_probabilities(v).detach(), generator)

    def visible_mean(self, h: Tensor) -> Tensor:
        """Return p(v_i = 1 | h), (B, V), for hidden units (B, H)."""
        return (self.b + self._visible_field(self.to_codes(h), self.W)).sigmoid()

    def _visible_field(self, maps: Tensor, W: Tensor) -> Tensor:
        return F.conv_transpose2d(maps, W).flatten(1)

    def pooled(self, v: Tensor) -> Tensor:
        """Return the probability that each pooling unit is on, (B, K, height/p, width/p).

        These are features of an image for a classifier. A value between 0 and 1 of a pixel counts
        as its probability, so that grey images need no draw.

        Arguments:
            v: Images, (B, C, height, width), with values from 0 to 1.
        """
        (num, height, width), pool = self.config.maps, self.config.pool
        p = self.hidden_probabilities(v.flatten(1))
        return p.view(len(p), pool**2, num, height // pool, width // pool).sum(1)

    @property
    def codes(self) -> Space:
        """The hidden units, (K, height, width)."""
        return Binary(shape=self.config.maps)

    def to_codes(self, h: Tensor) -> Tensor:
        """Return hidden units (B, H) as maps (B, K, height, width)."""
        return convolution.maps_of_units(h, self.config.maps, self.config.pool)

    def from_codes(self, z: Tensor) -> Tensor:
        """Return maps (B, K, height, width) as hidden units (B, H)."""
        return convolution.units_of_maps(z, self.config.pool)

    # Chains and learning

    def path(self, *, dtype: torch.dtype | None = None) -> TwoBlockPath:
        """Return the geometric path from independent pixels with the base rates."""
        shared = Convolution(self.W, self.c, self.event_shape, self.config.pool, dtype)
        coupling: Coupling = shared
        if len(self.b) * math.prod(self.config.maps) <= _MOST_UNROLLED:
            coupling = shared.unrolled()
        b, rates = self.b.detach().to(coupling.dtype), self.base_rates.to(coupling.dtype)
        return TwoBlockPath(BernoulliVisible(b, rates), self.hidden, coupling)

    def start(self, num: int, generator: torch.Generator) -> Tensor:
        """Draw v from the independent model of the base rates, (num, V)."""
        return bernoulli(self.base_rates.expand(num, -1), generator)

    def free_energies(self, state: Tensor) -> Tensor:
        """Return F(v) = −bᵀv − Σ over blocks of log(1 + Σ exp(c + w ⋆ v)), (B,)."""
        with full_precision(self.device):
            dtype = torch.promote_types(state.dtype, self.dtype)
            return self._free_energies(*(t.to(dtype) for t in (state, self.W, self.b, self.c)))

    def _free_energies(self, v: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return -(v @ b) - self.hidden.log_sum(self._field(v, W, c)).to(v.dtype)

    @torch.no_grad()
    def phase(self, state: Tensor) -> Phase:
        """Return the phase of visible units (B, V)."""
        field = self.hidden_logits(state).to(state.dtype)
        return Phase(state, self.hidden.probabilities(field))

    @torch.no_grad()
    def contrast(self, data: Phase, chain: Phase, *, centred: bool) -> Gradients:
        """Return the gradient of `difference` by parameter; W and c have it by place.

        With p = p(h | v): ∂F/∂w^k_s = −Σ_r p^k_r v_{r+s}, ∂F/∂b = −v and ∂F/∂c_k = −Σ_r p^k_r. The
        sums over the places of a map are divided by their number, in proportion to which a filter
        is known better, so that one learning rate serves filters and biases of any image.

        The centred gradient is that of the machine around μ, the mean base rate of each channel,
        and λ, the mean of p over the data and the places of each map, transformed back; see
        `binary_gradient`. Offsets that differ by pixel would give each place of a map a bias.
        """
        maps = self.config.maps
        places = math.prod(maps[1:])
        d_W = self._mean_products(chain) - self._mean_products(data)
        d_b = chain.state.mean(0) - data.state.mean(0)
        on = self._by_map(data.p.mean(0))
        d_c = self._by_map(chain.p.mean(0)) - on
        if centred:
            mu = self.base_rates.view(len(d_W[0]), -1).mean(1)[:, None, None]
            lam = on / places
            window = d_b.new_ones(1, 1, *maps[1:])
            sums = F.conv2d(d_b.view(self.event_shape)[:, None], window)[:, 0]
            d_W = d_W - mu * d_c[:, None, None, None] - lam[:, None, None, None] * sums
            d_W, d_c = d_W / places, d_c / places - (d_W * mu).sum((1, 2, 3)) / places
            mean = lam[None, :, None, None].expand(1, *maps)
            d_b = d_b - self._visible_field(mean, d_W)[0]
        else:
            d_W, d_c = d_W / places, d_c / places
        return {self.W: d_W, self.b: d_b, self.c: d_c}

    @torch.no_grad()
    def statistics(self, data: Phase, chain: Phase, *, centred: bool) -> Statistics:
        """Return −∂F by b and by w and c times the root of the number of places of a map."""
        places = math.prod(self.config.maps[1:])
        mu, lam = self.base_rates.new_zeros(self.event_shape[0], 1, 1), torch.zeros_like(self.c)
        if centred:
            mu = self.base_rates.view(len(mu), -1).mean(1)[:, None, None]
            lam = self._by_map(data.p.mean(0)) / places

        def terms(phase: Phase) -> list[Term]:
            v = phase.state.view(-1, *self.event_shape) - mu
            maps = self.to_codes(phase.p).flatten(2) - lam[:, None]
            windows = F.unfold(v, self.config.filter_size)
            products = (maps @ windows.mT).flatten(1) / math.sqrt(places)
            return [Term(products), Term(v.flatten(1)), Term(maps.sum(2) / math.sqrt(places))]

        def step(found: Sequence[Tensor]) -> Gradients:
            d_W, d_b, d_c = found
            d_W, d_c = d_W.view_as(self.W) / math.sqrt(places), d_c / math.sqrt(places)
            mean = lam[None, :, None, None].expand(1, *self.config.maps)
            d_b = d_b - self._visible_field(mean, d_W)[0]
            return {self.W: d_W, self.b: d_b, self.c: d_c - (d_W * mu).sum((1, 2, 3))}

        return Statistics(terms(data), terms(chain), step)

    def _mean_products(self, phase: Phase) -> Tensor:
        images = phase.state.view(len(phase.state), *self.event_shape)
        sums = convolution.filter_products(images, phase.p, self.W, self.config.pool)
        return sums / len(images)

    def _by_map(self, h: Tensor) -> Tensor:
        """Return the sums of a row (H,) over the places of each map, (K,)."""
        return h.view(self.config.pool**2, self.config.num_filters, -1).sum((0, 2))

    def activity(self, state: Tensor) -> Tensor:
        """Return the mean of p(h = 1 | v) over rows and the places of each map, (K,).

        It has its graph. The units of a map are one detector, so sparsity is that of the map.
        """
        places = math.prod(self.config.maps[1:])
        return self._by_map(self.hidden_probabilities(state).mean(0)) / places

    def sum_terms(self) -> tuple[Tensor, ...]:
        """Return W, b and c."""
        return self.W, self.b, self.c

    # log Z

    @property
    def num_bits(self) -> float:
        """That of the images, or that of the states of all blocks if these are fewer."""
        return min(float(len(self.b)), self.hidden.log_num_states / math.log(2))

    def log_sum(self) -> Tensor:
        """Return log Z by a sum over all images, or all states of the hidden units, in float64."""
        W, b, c = self.W.double(), self.b.double(), self.c.double()
        if self.num_bits == len(self.b):
            return enumeration.log_sum(self._log_image, len(b), W, b, c)
        places = self.config.pool**2
        num = math.prod(self.config.maps) // places
        return enumeration.log_sum(self._log_maps, num, W, b, c, num_values=places + 1)

    def _log_image(self, v: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return -self._free_energies(v, W, b, c)

    def _log_maps(self, on: Tensor, W: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Return log Σ_v exp(−E(v, h)), (B,), for the places that are on.

        Arguments:
            on: 0 for a block that is off, else 1 + the place that is on, (B, blocks).
            W: The filters.
            b: The biases of the pixels.
            c: The biases of the maps.
        """
        h = F.one_hot(on.long(), self.config.pool**2 + 1)[..., 1:].transpose(1, 2).flatten(1)
        maps = self.to_codes(h.to(W.dtype))
        field = b + self._visible_field(maps, W)
        return maps.sum((2, 3)) @ c + F.softplus(field).sum(1)

    # Pictures

    def filters(self) -> Tensor:
        """Return the filters, (K, C, size, size)."""
        return self.W.detach()


def _hidden_units(num: int, places: int) -> HiddenUnits:
    """Return independent units, or blocks of ``places`` of which at most one is on."""
    return BernoulliHidden(num) if places == 1 else PooledHidden(num // places, places)
