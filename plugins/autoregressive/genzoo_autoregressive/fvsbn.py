"""The fully visible sigmoid belief net: a logistic regression for each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import Batch, Binary, ConfigError, Label, Stage
from genzoo_autoregressive import suiting
from genzoo_autoregressive.chains import Chain, Steps, before, rank_of
from genzoo_autoregressive.condition_vectors import ConditionVectors
from genzoo_autoregressive.configs import OrderedConfig
from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.outputs import Output

_MOST_WEIGHTS = 2**28
_STD = 0.01


@dataclass(frozen=True, kw_only=True)
class FVSBNConfig(OrderedConfig):
    """A fully visible sigmoid belief net."""

    def check_size(self, output: Output) -> None:
        """Raise ConfigError if there would be more than 2²⁸ weights."""
        num = self.event.num_dims**2 * output.num_parameters * output.num_inputs
        if num > _MOST_WEIGHTS:
            raise ConfigError(
                f"FVSBNConfig has a weight for each pair of values: {num:,} of them for "
                f"{self.event.describe()}, and at most {_MOST_WEIGHTS:,}. Give smaller rows, or "
                "fewer categories."
            )


class FVSBN(Autoregressive[FVSBNConfig]):
    """A fully visible sigmoid belief net: p(x_i = 1 | x_{<i}) = σ(b_i + Σ_{j<i} W_ij x_j).

    Each place is a logistic regression on the places before it in the model's order: W is strictly
    lower-triangular in that order. Its log-likelihood is concave, so training finds the best one.
    For categories the regressions are multinomial, on one-hot vectors; for grey levels the
    parameters of the mixture are linear in the levels.

    A condition is a bias: b_i is replaced by b_i + c_i(condition).

    | Does the Wake-Sleep Algorithm Produce Good Density Estimators? (Frey, Hinton, Dayan, 1996)
    | Graphical Models for Machine Learning and Digital Communication (Frey, 1998)
    | Learning Deep Sigmoid Belief Networks with Data Augmentation (Gan et al., 2015)

    Arguments:
        config: Spaces and order.

    Attributes:
        W: Weights (D, P, D, E): from each input of a place to each parameter of another.
        b: Biases (D, P).
    """

    Config = FVSBNConfig
    papers = (
        (
            "Brendan J. Frey, Geoffrey E. Hinton, Peter Dayan. Does the Wake-Sleep Algorithm "
            "Produce Good Density Estimators? NIPS, 1996."
        ),
        (
            "Brendan J. Frey. Graphical Models for Machine Learning and Digital Communication. "
            "MIT Press, 1998."
        ),
        (
            "Zhe Gan, Ricardo Henao, David Carlson, Lawrence Carin. Learning Deep Sigmoid Belief "
            "Networks with Data Augmentation. AISTATS, 2015."
        ),
    )
    limits = (
        "Each factor is linear in the values before it, so it knows pairs of values only.",
        (
            "Likelihoods of zeros and ones, of categories and of grey levels are different "
            "quantities and cannot be compared, also in bits per dimension."
        ),
    )

    rank: Tensor

    def __init__(self, config: FVSBNConfig) -> None:
        super().__init__(config)
        D, P, E = self.num_places, self.output.num_parameters, self.output.num_inputs
        self.W = nn.Parameter(torch.empty(D, P, D, E))
        nn.init.normal_(self.W, std=_STD)
        self.b = nn.Parameter(self.output.start().repeat(D, 1))
        self.biases = ConditionVectors(config.conditions, D * P)
        rank = rank_of(torch.tensor(self.order))
        self.register_buffer("rank", rank, persistent=False)

    @classmethod
    def example(cls) -> tuple[FVSBNConfig, Batch]:
        """Return a small conditional config, and twelve rows."""
        config = FVSBNConfig(
            event=Binary(shape=(1, 3, 3)), conditions={"label": Label(num_classes=3)}
        )
        x = torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(0)).round()
        return config, {"x": x, "label": torch.arange(12) % 3}

    @classmethod
    def default_stages(cls, config: FVSBNConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood; see `suiting.regressions`."""
        return (suiting.regressions(),)

    @property
    def widest(self) -> int:
        """The number of parameters of all places."""
        return max(self.b.numel(), self.num_places * self.output.num_inputs)

    @property
    def condition_vectors(self) -> ConditionVectors:
        """Biases of all parameters."""
        return self.biases

    def chains(self) -> Sequence[Chain]:
        """Return the one chain."""
        return [_Regressions(self)]

    def masked_weights(self) -> Tensor:
        """Return W with zeros from places that do not come before, (D, P, D, E)."""
        return self.W * before(self.rank)[:, None, :, None]


class _Regressions(Chain):
    """The factors of a net.

    Arguments:
        net: The net.
    """

    def __init__(self, net: FVSBN) -> None:
        super().__init__(torch.argsort(net.rank))
        self.net = net

    def parameters(self, x: Tensor, given: Tensor | None) -> Tensor:
        """Return b + W x, (B, D, P)."""
        net = self.net
        D, P = net.b.shape
        inputs = net.output.inputs(x, net.dtype).flatten(1)
        found = F.linear(inputs, net.masked_weights().view(D * P, -1), net.b.flatten())
        return (found if given is None else found + given).view(-1, D, P)

    def steps(self, x: Tensor, given: Tensor | None) -> Steps:
        """Return sums that grow by the weights of each new value."""
        return _Sums(self.net, x, given)


class _Sums(Steps):
    """b + W x of all places, over the places so far: a place adds its column once.

    Arguments:
        net: The net.
        x: Rows (B, D).
        given: The vectors of the conditions.
    """

    def __init__(self, net: FVSBN, x: Tensor, given: Tensor | None) -> None:
        self.net, self.order = net, net.order
        D, P = net.b.shape
        # By place, so that the weights of a place lie together: (D, E, D P).
        self.columns = net.masked_weights().view(D * P, D, -1).permute(1, 2, 0).contiguous()
        sums = net.b.flatten().expand(len(x), -1)
        self.sums = sums.clone() if given is None else sums + given

    def parameters(self, index: int) -> Tensor:
        """Return the sums of a place."""
        D, P = self.net.b.shape
        return self.sums.view(-1, D, P)[:, self.order[index]]

    def put(self, index: int, values: Tensor) -> None:
        """Add the weights of a place's values to all sums."""
        inputs = self.net.output.inputs(values, self.net.dtype)
        self.sums = torch.addmm(self.sums, inputs, self.columns[self.order[index]])
