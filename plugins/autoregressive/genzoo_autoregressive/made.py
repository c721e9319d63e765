"""MADE: a masked autoencoder whose outputs depend only on the places before them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Batch, Binary, Bounds, ConfigError, DataInfo, Label, Stage, Step
from genzoo_autoregressive import masks, suiting
from genzoo_autoregressive.chains import Chain, Steps, log_probs
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.configs import OrderedConfig
from genzoo_autoregressive.masks import Degrees
from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.outputs import Output

_MOST_WEIGHTS, _MOST_DEGREES = 2**28, 2**21
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "silu": F.silu,
}


@dataclass(frozen=True, kw_only=True)
class MADEConfig(OrderedConfig):
    """A masked autoencoder."""

    hidden_dims: Annotated[tuple[Annotated[int, Bounds(1, 2**16)], ...], Bounds(1, 32)] = (500,)
    """The widths of the hidden layers."""
    activation: Literal["relu", "tanh", "silu"] = "relu"
    """The activation of the hidden layers."""
    direct: bool = True
    """Whether each place also has weights from the places before it, as in an fvsbn."""
    num_masks: Annotated[int, Bounds(1, 2**10)] = 1
    """M, the number of masks. Training takes one after the other; p(x) is the mean of the
    probabilities by all of them, at M times the work."""
    num_orders: Annotated[int, Bounds(1, 2**10)] = 1
    """The number of orders of these masks, which they take in turn; those after the first are
    random."""
    mask_seed: Annotated[int, Bounds(0, 2**40)] = 0
    """The seed of the masks."""

    def check_size(self, output: Output) -> None:
        """Check the number of weights and of masks.

        Raises:
            ConfigError: There would be more than 2²⁸ weights, or too many masks.
        """
        D, P, E = self.event.num_dims, output.num_parameters, output.num_inputs
        sizes = [D * E, *self.hidden_dims, D * P]
        num = sum(a * b for a, b in itertools.pairwise(sizes))
        num += self.direct * sizes[0] * sizes[-1]
        if num > _MOST_WEIGHTS:
            raise ConfigError(
                f"MADEConfig would have {num:,} weights for {self.event.describe()}, and at most "
                f"{_MOST_WEIGHTS:,}. Give smaller hidden_dims, smaller rows or direct=False."
            )
        if self.num_masks * (D + sum(self.hidden_dims)) > _MOST_DEGREES:
            raise ConfigError(
                f"MADEConfig.num_masks is {self.num_masks}, too many for so many units. Give "
                "fewer masks."
            )
        if self.num_orders > self.num_masks:
            raise ConfigError(
                f"MADEConfig has {self.num_orders} orders and {self.num_masks} masks, each of one "
                "order. Give at least as many masks as orders."
            )


class MADE(Autoregressive[MADEConfig]):
    """A masked autoencoder for distribution estimation.

    A network from x to the parameters of all places, in which weights are masked by *degrees*. A
    place has its index in the order, 1 to D. A hidden unit has a degree m of 1 to D − 1 and
    depends on the places of degrees up to m; a place depends on units of lower degree:

        W_l[k, j] has a weight if m_k ≥ m_j;  V[i, k] if i > m_k;  direct A[i, j] if i > j.

    So one evaluation gives all factors. With several masks the same weights serve several nets,
    also of several orders; their probabilities are averaged.

    | MADE: Masked Autoencoder for Distribution Estimation (Germain, Gregor, Murray, Larochelle,
    | 2015)

    Arguments:
        config: Spaces, order, layers and masks.

    Attributes:
        layers: The hidden layers, from below.
        out: From the last hidden layer to the parameters of all places, (D P).
        direct: From the inputs to the parameters; None without direct connections.
    """

    Config = MADEConfig
    papers = (
        (
            "Mathieu Germain, Karol Gregor, Iain Murray, Hugo Larochelle. MADE: Masked "
            "Autoencoder for Distribution Estimation. ICML, 2015."
        ),
    )
    limits = (
        (
            "With M masks its likelihood takes M evaluations, and each sample is drawn from one "
            "of the M nets."
        ),
        (
            "Likelihoods of zeros and ones, of categories and of grey levels are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
    )

    ranks: Tensor

    def __init__(self, config: MADEConfig) -> None:
        super().__init__(config)
        D, P, E = self.num_places, self.output.num_parameters, self.output.num_inputs
        sizes = [D * E, *config.hidden_dims]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.out = nn.Linear(sizes[-1], D * P)
        self.out.bias = nn.Parameter(self.output.start().repeat(D))
        self.direct = nn.Linear(D * E, D * P, bias=False) if config.direct else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)
        self.vectors = ConditionVectors(config.conditions, sizes[1] + D * P)
        found = masks.degrees_of(self.order, config)
        self.register_buffer("ranks", found.ranks, persistent=False)
        for index, degrees in enumerate(found.hidden):
            self.register_buffer(f"degrees_{index}", degrees, persistent=False)

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> MADEConfig:
        """Return a config that fits the data; see `suiting.hidden_dims`."""
        cls.check_event(info)
        fitted = suiting.hidden_dims(info[cls.event_field])
        return super().configure(info, conditions, **{"hidden_dims": fitted, **overrides})

    @classmethod
    def example(cls) -> tuple[MADEConfig, Batch]:
        """Return a small conditional config with two masks, and twelve rows."""
        config = MADEConfig(
            event=Binary(shape=(1, 3, 3)),
            hidden_dims=(6, 5),
            num_masks=2,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(0)).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: MADEConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood; see `suiting.learning`."""
        return (suiting.learning(config.event),)

    @property
    def widest(self) -> int:
        """The number of values of the widest layer."""
        inputs = self.num_places * self.output.num_inputs
        return max(inputs, *self.config.hidden_dims, self.out.out_features)

    @property
    def condition_vectors(self) -> ConditionVectors:
        """Biases of the first hidden layer and of all parameters."""
        return self.vectors

    def chains(self) -> Sequence[Chain]:
        """Return the net of each mask."""
        return [_Masked(self, index) for index in range(len(self.ranks))]

    def training_loss(self, x: Tensor, given: Tensor | None, step: Step) -> Tensor:
        """Return −log p of rows by one of the masks: update u has mask u mod M."""
        chain = _Masked(self, step.index % len(self.ranks))
        return -log_probs(chain, self.output, x, given).sum(-1)

    def degrees(self, index: int) -> Degrees:
        """Return the degrees of a mask: of the places (D,), and of each hidden layer."""
        hidden = [self.get_buffer(f"degrees_{layer}")[index] for layer in range(len(self.layers))]
        return Degrees(self.ranks[index], tuple(hidden))


class _Masked(Chain):
    """The factors by one mask.

    Arguments:
        net: The model.
        index: The number of the mask.
    """

    def __init__(self, net: MADE, index: int) -> None:
        self.net, self.degrees = net, net.degrees(index)
        super().__init__(torch.argsort(self.degrees.ranks))
        self.activation = _ACTIVATIONS[net.config.activation]

    @functools.cached_property
    def weights(self) -> list[Tensor]:
        """The masked weights of the hidden layers and of the outputs."""
        E, P = self.net.output.num_inputs, self.net.output.num_parameters
        layers: list[Any] = [*self.net.layers, self.net.out]
        kept = self.degrees.masks(E, P)
        return [layer.weight * mask for layer, mask in zip(layers, kept, strict=True)]

    @functools.cached_property
    def direct(self) -> Tensor | None:
        """The masked weights from the inputs to the parameters."""
        if self.net.direct is None:
            return None
        E, P = self.net.output.num_inputs, self.net.output.num_parameters
        kept: Tensor = self.net.direct.weight * self.degrees.direct_mask(E, P)
        return kept

    def biases(self, given: Tensor | None) -> list[Tensor]:
        """Return the biases of all layers; a condition adds to the first and to the last one."""
        layers: list[Any] = [*self.net.layers, self.net.out]
        found: list[Tensor] = [layer.bias for layer in layers]
        if given is not None:
            first = len(found[0])
            found[0], found[-1] = found[0] + given[:, :first], found[-1] + given[:, first:]
        return found

    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return the outputs of the network, (B, D, P)."""
        inputs = self.net.output.inputs(x, self.net.dtype).flatten(1)
        biases, h = self.biases(given), inputs
        for W, b in zip(self.weights[:-1], biases[:-1], strict=True):
            h = self.activation(F.linear(h, W) + b)
        found = F.linear(h, self.weights[-1]) + biases[-1]
        if self.direct is not None:
            found = found + F.linear(inputs, self.direct)
        return found.view(len(x), self.net.num_places, -1)

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return sums that grow by units as soon as these are known."""
        return _Growing(self, len(x), given)


class _Growing(Steps):
    """The sums of all layers over the units that are known so far.

    A unit of degree m is known after m places. So each weight is used once in a sample, as in one
    evaluation.

    Arguments:
        chain: The chain.
        num: The number of rows.
        given: The vectors of the conditions.
    """

    def __init__(self, chain: _Masked, num: int, given: Tensor | None) -> None:
        self.chain, self.order = chain, chain.order.tolist()
        self.columns = [W.T.contiguous() for W in chain.weights]
        self.direct = None if chain.direct is None else chain.direct.T.contiguous()
        self.sums = [b.expand(num, -1).clone() for b in chain.biases(given)]
        self.units = [masks.by_degree(m, len(self.order)) for m in chain.degrees.hidden]

    def parameters(self, index: int) -> Tensor:
        """Return the parameters of a place."""
        P = self.chain.net.output.num_parameters
        return self.sums[-1].view(len(self.sums[-1]), -1, P)[:, self.order[index]]

    def put(self, index: int, values: Tensor) -> None:
        """Add a place to the sums of the first layer, and known units to those above them."""
        output = self.chain.net.output
        inputs = output.inputs(values, self.chain.net.dtype)
        first = self.order[index] * output.num_inputs
        own = slice(first, first + output.num_inputs)
        self.sums[0] = torch.addmm(self.sums[0], inputs, self.columns[0][own])
        if self.direct is not None:
            self.sums[-1] = torch.addmm(self.sums[-1], inputs, self.direct[own])
        for layer, units in enumerate(self.units):
            now = units[index]
            if len(now):
                h = self.chain.activation(self.sums[layer][:, now])
                above = self.columns[layer + 1][now]
                self.sums[layer + 1] = torch.addmm(self.sums[layer + 1], h, above)
