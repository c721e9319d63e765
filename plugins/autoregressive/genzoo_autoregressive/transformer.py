"""A causal transformer: each value by attention to those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Batch, Bounds, Categorical, ConfigError, Label, Stage
from genzoo_autoregressive import suiting
from genzoo_autoregressive.attention import Block, Cache
from genzoo_autoregressive.chains import Chain, Steps, rank_of
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.configs import OrderedConfig
from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.outputs import Output

_MOST_PLACES, _STD = 2**14, 0.02


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(OrderedConfig):
    """A causal transformer."""

    hidden_dim: Annotated[int, Bounds(1, 2**14)] = 64
    """The size of the vector of a place."""
    num_layers: Annotated[int, Bounds(1, 2**8)] = 3
    """The number of layers."""
    num_heads: Annotated[int, Bounds(1, 2**10)] = 4
    """The number of heads of attention, which must divide hidden_dim."""
    mlp_ratio: Annotated[int, Bounds(1, 64)] = 4
    """The width of the layers between attentions, in units of hidden_dim."""
    dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.0
    """The share of values that training sets to zero after attentions and layers."""
    value_dropout: Annotated[float, Bounds(0.0, 0.95)] = 0.0
    """The share of the places of a row whose values training hides from later places, drawn for
    each row anew (word dropout: Bowman et al., 2016). It helps where there are few rows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_dim % self.num_heads:
            raise ConfigError(
                f"TransformerConfig.num_heads={self.num_heads} does not divide hidden_dim="
                f"{self.hidden_dim}. Choose another number of heads."
            )

    def check_size(self, output: Output) -> None:
        """Raise ConfigError if a row has more than 2¹⁴ places."""
        if self.event.num_dims > _MOST_PLACES:
            raise ConfigError(
                "A transformer compares all pairs of places. A row has "
                f"{self.event.num_dims:,} of them, and at most {_MOST_PLACES:,} are allowed. Give "
                "smaller rows."
            )


class Transformer(Autoregressive[TransformerConfig]):
    """A causal transformer over the places of a row, in any order.

    Place i receives the value of the place before it in the order, the first one a learned vector,
    and a learned vector of its position; a condition is added to all of them. Each layer is

        h ← h + attention(LN(h)),  h ← h + W₂ gelu(W₁ LN(h)),

    where a place attends to itself and to those before it. The parameters of a value are a linear
    map of LN(h), with a bias of the place.

    | Attention Is All You Need (Vaswani et al., 2017)
    | Language Models are Unsupervised Multitask Learners (Radford et al., 2019)

    Arguments:
        config: The space of the data, their order and the layers.

    Attributes:
        start: The vector in place of a value before the first place, (W,).
        values: From the inputs of a value to its vector.
        positions: The vectors of the indices in the order, (D, W).
        blocks: The layers.
        out: From vectors to parameters.
        bias: The bias of each place, (D, P).
    """

    Config = TransformerConfig
    papers = (
        (
            "Ashish Vaswani, Noam Shazeer, Niki Parmar, Jakob Uszkoreit, Llion Jones, Aidan N. "
            "Gomez, Łukasz Kaiser, Illia Polosukhin. Attention Is All You Need. NeurIPS, 2017."
        ),
        (
            "Alec Radford, Jeffrey Wu, Rewon Child, David Luan, Dario Amodei, Ilya Sutskever. "
            "Language Models are Unsupervised Multitask Learners. OpenAI, 2019."
        ),
    )
    limits = (
        "Time and memory of attention grow with the square of the number of places.",
        (
            "Likelihoods of zeros and ones, of categories and of grey levels are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
    )

    places: Tensor
    rank: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        places = torch.tensor(self.order)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("rank", rank_of(places), persistent=False)
        D, width, output = self.num_places, config.hidden_dim, self.output
        self.start = nn.Parameter(_STD * torch.randn(width))
        self.values = nn.Linear(output.num_inputs, width, bias=False)
        nn.init.normal_(self.values.weight, std=_STD)
        self.positions = nn.Parameter(_STD * torch.randn(D, width))
        self.blocks = nn.ModuleList(
            Block(width, config.num_heads, config.mlp_ratio, config.dropout, config.num_layers)
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, output.num_parameters, bias=False)
        nn.init.normal_(self.out.weight, std=_STD)
        self.bias = nn.Parameter(output.start().repeat(D, 1))
        self.vectors = ConditionVectors(config.conditions, width)

    @classmethod
    def example(cls) -> tuple[TransformerConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        config = TransformerConfig(
            event=Categorical(shape=(6,), num_categories=3),
            hidden_dim=8,
            num_layers=2,
            num_heads=2,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.randint(3, (12, 6), generator=torch.Generator().manual_seed(0))
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: TransformerConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood; see `suiting.attention_learning`."""
        return (suiting.attention_learning(config.event),)

    @property
    def widest(self) -> int:
        """The number of values of the widest layer."""
        c = self.config
        return self.num_places * max(c.hidden_dim * max(c.mlp_ratio, 3), self.out.out_features)

    @property
    def widest_step(self) -> int:
        """The number of keys and values of a layer, to which a place attends."""
        return 2 * self.num_places * self.config.hidden_dim

    @property
    def condition_vectors(self) -> ConditionVectors:
        """What is added to the vectors of all places."""
        return self.vectors

    def chains(self) -> Sequence[Chain]:
        """Return the one chain."""
        return [_Attending(self)]

    def embedded(self, inputs: Tensor, given: Tensor | None, index: slice) -> Tensor:
        """Return the vectors (B, I, W) of places of some indices, before the first layer.

        Arguments:
            inputs: The inputs of the places before them, (B, I, E); of the first place, ignored.
            given: The vectors of the conditions.
            index: The indices in the order.
        """
        h: Tensor = self.values(inputs)
        if self.training and self.config.value_dropout:
            h = h * (torch.rand_like(h[..., :1]) >= self.config.value_dropout)
        if index.start == 0:
            h = torch.cat([self.start.expand(len(h), 1, -1), h[:, 1:]], dim=1)
        h = h + self.positions[index]
        return h if given is None else h + given[:, None]


class _Attending(Chain):
    """The factors of a model.

    Arguments:
        net: The model.
    """

    def __init__(self, net: Transformer) -> None:
        super().__init__(net.places)
        self.net = net

    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return the parameters of all places, (B, D, P)."""
        net = self.net
        inputs = net.output.inputs(x, net.dtype)[:, self.order]
        before = F.pad(inputs[:, :-1], (0, 0, 1, 0))
        h = net.embedded(before, given, slice(0, net.num_places))
        for block in net.blocks:
            h = block(h)
        in_order: Tensor = net.out(net.norm(h))
        return in_order[:, net.rank] + net.bias

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return the keys and values of earlier places, which later ones attend to."""
        return _Cached(self, len(x), given)


class _Cached(Steps):
    """One place after another, with the keys and values of all layers at earlier places.

    Arguments:
        chain: The chain.
        num: The number of rows.
        given: The vectors of the conditions.
    """

    def __init__(self, chain: _Attending, num: int, given: Tensor | None) -> None:
        self.net, self.given, self.order = chain.net, given, chain.order.tolist()
        blocks: list[Any] = list(self.net.blocks)
        self.caches = [Cache(block, num, len(self.order)) for block in blocks]
        E = self.net.output.num_inputs
        self.inputs = self.net.start.new_zeros(num, 1, E)
        self.h: Tensor | None = None

    def parameters(self, index: int) -> Tensor:
        """Return the parameters of a place."""
        found: Tensor = self.net.out(self.net.norm(self._vectors(index)))
        return found + self.net.bias[self.order[index]]

    def put(self, index: int, values: Tensor) -> None:
        """Take the values of a place."""
        self._vectors(index)
        self.inputs = self.net.output.inputs(values, self.net.dtype)[:, None]
        self.h = None

    def _vectors(self, index: int) -> Tensor:
        """Return the vectors (B, W) of a place after the last layer, computed once."""
        if self.h is None:
            h = self.net.embedded(self.inputs, self.given, slice(index, index + 1))[:, 0]
            for cache in self.caches:
                h = cache.step(index, h)
            self.h = h
        return self.h
