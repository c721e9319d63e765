"""NADE: the hidden units of a place follow from those of the place before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Batch, Binary, Bounds, ConfigError, DataInfo, Label, Stage, Step
from genzoo_autoregressive import filling, recursion, suiting
from genzoo_autoregressive.chains import Chain, Steps
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.configs import OrderedConfig
from genzoo_autoregressive.ends import limited
from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.orders import more_orders
from genzoo_autoregressive.outputs import Output

_MOST_WEIGHTS, _MOST_PLACES = 2**28, 2**21


@dataclass(frozen=True, kw_only=True)
class NADEConfig(OrderedConfig):
    """A neural autoregressive distribution estimator."""

    hidden_dim: Annotated[int, Bounds(1, 2**16)] = 500
    """H, the number of hidden units."""
    activation: Literal["sigmoid", "tanh", "relu"] = "sigmoid"
    """The activation of the hidden units."""
    orderless: bool = False
    """Whether training is for all orders at once, so that any part of a row can be filled in."""
    num_orders: Annotated[int, Bounds(1, 2**10)] = 1
    """The number of orders whose probabilities are averaged (EoNADE), if training is for all
    orders; those after the first are random."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_orders > 1 and not self.orderless:
            raise ConfigError(
                f"NADEConfig.num_orders is {self.num_orders}, but a NADE learns one order. Give "
                "orderless=True to train it for all."
            )

    def check_size(self, output: Output) -> None:
        """Raise ConfigError if there would be more than 2²⁸ weights, or too many orders."""
        D, P, E = self.event.num_dims, output.num_parameters, output.num_inputs
        num = D * self.hidden_dim * (P + E + self.orderless)
        if num > _MOST_WEIGHTS:
            raise ConfigError(
                f"NADEConfig would have {num:,} weights for {self.event.describe()}, and at most "
                f"{_MOST_WEIGHTS:,}. Give a smaller hidden_dim, or smaller rows."
            )
        if self.num_orders * D > _MOST_PLACES:
            raise ConfigError(
                f"NADEConfig.num_orders is {self.num_orders}, too many for so many places. Give "
                "fewer orders."
            )


class NADE(Autoregressive[NADEConfig]):
    """A neural autoregressive distribution estimator.

    Each place has hidden units of its own, whose weights are shared:

        h_i = σ(c + Σ_{j<i} W_j x_j),  ℙ(x_i = 1 | x_{<i}) = σ(b_i + V_i h_i).

    The sums of a place are those of the one before it and one term more, so log p(x) takes O(D H)
    operations.

    With ``orderless`` the net learns all orders: for each row of an update it predicts the places
    that are not known from a random part that is, a loss that in expectation is −log p(x) averaged
    over all orders. The net also receives which places are known, Σ_j U_j over those. Then any
    part of a row can be filled in, and an ensemble averages p(x) over several orders.

    | The Neural Autoregressive Distribution Estimator (Larochelle, Murray, 2011)
    | A Deep and Tractable Density Estimator (Uria, Murray, Larochelle, 2014)

    Arguments:
        config: Spaces, order, hidden units, and whether it is orderless.

    Attributes:
        W: Weights (D, E, H) from inputs to hidden units; with ``orderless`` those of "known" last.
        c: Biases of hidden units, (H,).
        V: Weights (D, H, P) from hidden units to parameters.
        b: Biases of parameters, (D, P).
    """

    Config = NADEConfig
    papers = (
        (
            "Hugo Larochelle, Iain Murray. The Neural Autoregressive Distribution Estimator. "
            "AISTATS, 2011."
        ),
        (
            "Benigno Uria, Iain Murray, Hugo Larochelle. A Deep and Tractable Density Estimator. "
            "ICML, 2014."
        ),
    )
    limits = (
        (
            "Trained for all orders, its orders disagree: each has a likelihood of its own, and a "
            "part that is filled in follows an order in which the given part comes first."
        ),
        (
            "Likelihoods of zeros and ones, of categories and of grey levels are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
    )

    orders: Tensor

    def __init__(self, config: NADEConfig) -> None:
        super().__init__(config)
        D, P = self.num_places, self.output.num_parameters
        E, H = self.output.num_inputs + config.orderless, config.hidden_dim
        self.W, self.V = nn.Parameter(torch.empty(D, E, H)), nn.Parameter(torch.empty(D, H, P))
        nn.init.normal_(self.W, std=(D * E) ** -0.5)
        nn.init.normal_(self.V, std=H**-0.5)
        self.c = nn.Parameter(torch.zeros(H))
        self.b = nn.Parameter(self.output.start().repeat(D, 1))
        self.vectors = ConditionVectors(config.conditions, H + D * P)
        orders = [self.order, *more_orders(D, config.num_orders, config.order_seed)]
        found = torch.tensor(orders, dtype=torch.int32)
        self.register_buffer("orders", found, persistent=False)

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> NADEConfig:
        """Return a config that fits the data; see `suiting.num_hidden`."""
        cls.check_event(info)
        fitted = suiting.num_hidden(info[cls.event_field])
        return super().configure(info, conditions, **{"hidden_dim": fitted, **overrides})

    @classmethod
    def example(cls) -> tuple[NADEConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        config = NADEConfig(
            event=Binary(shape=(1, 3, 3)),
            hidden_dim=6,
            conditions={"label": Label(num_classes=3)},
        )
        x = torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(0)).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: NADEConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood; see `suiting.learning`."""
        return (suiting.learning(config.event),)

    @property
    def widest(self) -> int:
        """The number of values of the widest layer: the hidden units of one place, or a row."""
        return max(self.config.hidden_dim, self.b.numel(), self.W.shape[0] * self.W.shape[1])

    @property
    def condition_vectors(self) -> ConditionVectors:
        """Biases of the hidden units and of all parameters."""
        return self.vectors

    def chains(self) -> Sequence[Chain]:
        """Return one chain for each order."""
        return [_Hidden(self, order) for order in self.orders.long()]

    def inputs(self, x: Tensor) -> Tensor:
        """Return values (B, ...) as hidden units receive them, (B, ..., E)."""
        found = self.output.inputs(x, self.dtype)
        return F.pad(found, (0, 1), value=1.0) if self.config.orderless else found

    def biases(self, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the biases of hidden units (B or 1, H) and of parameters (B or 1, D, P)."""
        c, b = self.c[None], self.b[None]
        if given is None:
            return c, b
        H = self.config.hidden_dim
        return c + given[:, :H], b + given[:, H:].view(-1, *self.b.shape)

    # Training for all orders

    def training_loss(self, x: Tensor, given: Tensor | None, step: Step) -> Tensor:
        """Return −log p of rows, or what has its mean over all orders as its expectation.

        For all orders: D / (D − d) Σ_{i unknown} −log p(x_i | the d known), with d from 0 to
        D − 1 and the known places drawn uniformly for each row.
        """
        if not self.config.orderless:
            return super().training_loss(x, given, step)
        num, D = x.shape
        keys = torch.rand(num, D, generator=step.generator, device=x.device)
        d = torch.randint(D, (num, 1), generator=step.generator, device=x.device)
        known = keys.argsort(-1).argsort(-1) < d
        parameters = self.parameters_given(x, known, given)
        if (padding := self.output.padding) is not None:
            parameters = limited(self.output, parameters, x == padding, (~known).long())
        nats = -self.output.log_prob(parameters, x)
        return (nats * ~known).sum(-1) * D / (D - d[:, 0])

    def parameters_given(self, x: Tensor, known: Tensor, given: Tensor | None) -> Tensor:
        """Return the parameters of all places given the known ones, (B, D, P).

        Arguments:
            x: Rows (B, D).
            known: Which places are known, (B, D) bool.
            given: The vectors of the conditions.
        """
        c, b = self.biases(given)
        inputs = (self.inputs(x) * known[..., None]).flatten(1)
        h = recursion.active(c + inputs @ self.W.flatten(0, 1), self.config.activation)
        return torch.einsum("bh,dhp->bdp", h, self.V) + b

    # Completion

    @torch.no_grad()
    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 1,
        condition: Any = None,
    ) -> Tensor:
        """Return ``x`` (B, *event_shape) with values drawn given the rest where ``mask`` is true.

        See `Autoregressive.inpaint`. With ``orderless`` any part can be missing: it is drawn in
        the order in which the given places come first.
        """
        if not self.config.orderless:
            return super().inpaint(x, mask, generator=generator, condition=condition)
        x, mask = self.checked_inpainting(x, mask)
        given = self.condition_vectors(self.checked_condition(condition, len(x)))
        found, kept = x.clone(), ~mask.flatten(1)
        patterns, which = torch.unique(kept, dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = (which == number).nonzero()[:, 0]
            part = None if given is None else given[rows]
            chain = _Hidden(self, self.order_after(pattern))
            own = kept[rows].view(x[rows].shape)
            found[rows] = filling.fill_in(self, [chain], x[rows], own, part, generator)
        return found

    def order_after(self, known: Tensor) -> Tensor:
        """Return the model's order with the known places (D,) first."""
        order = self.orders[0].long()
        return torch.cat([order[known[order]], order[~known[order]]])


class _Hidden(Chain):
    """The factors in one order.

    Arguments:
        net: The model.
        order: The order.
    """

    def __init__(self, net: NADE, order: Tensor) -> None:
        super().__init__(order)
        self.net = net

    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return b_i + V_i h_i of all places, (B, D, P)."""
        net, order = self.net, self.order
        c, b = net.biases(given)
        inputs = net.inputs(x)[:, order].transpose(0, 1).contiguous()
        a = c.expand(len(x), -1)
        found = recursion.outputs(inputs, a, net.W[order], net.V[order], net.config.activation)
        return found[torch.argsort(order)].transpose(0, 1) + b

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return the recursion."""
        return _OneByOne(self, len(x), given)


class _OneByOne(Steps):
    """The recursion, one place after another.

    Arguments:
        chain: The chain.
        num: The number of rows.
        given: The vectors of the conditions.
    """

    def __init__(self, chain: _Hidden, num: int, given: Tensor | None) -> None:
        self.net, self.order = chain.net, chain.order.tolist()
        c, self.b = chain.net.biases(given)
        self.a = c.expand(num, -1)

    def parameters(self, index: int) -> Tensor:
        """Return the parameters of a place."""
        place = self.order[index]
        h = recursion.active(self.a, self.net.config.activation)
        return h @ self.net.V[place] + self.b[:, place]

    def put(self, index: int, values: Tensor) -> None:
        """Add the weights of a place to the sums."""
        self.a = torch.addmm(self.a, self.net.inputs(values), self.net.W[self.order[index]])
