"""A mixture of von Mises distributions, perhaps given a label, another angle, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Conditions,
    ConditionSpaces,
    Config,
    ConfigError,
    GenerativeModel,
    Label,
    LogProb,
    Space,
    Stage,
    by_blocks,
    condition_rows,
)
from genzoo_angle.angle import Angle, points
from genzoo_angle.von_mises import log_density

MAX_PARAMETERS = 2**20
_BLOCK = 1024


@dataclass(frozen=True, kw_only=True)
class VonMisesConfig(Config):
    """A mixture of von Mises distributions."""

    event: Space
    """The space of the data."""
    num_components: Annotated[int, Bounds(1, 2**10)] = 8
    """K, how many distributions are mixed."""
    conditions: ConditionSpaces = field(default_factory=dict)
    """The space of each condition."""
    condition_dropout: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The share of rows that the model learns without their conditions, all of them labels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.event.num_dims * self.num_components
        inputs = 1 + sum(_num_inputs(space) for space in self.conditions.values())
        if size * inputs > MAX_PARAMETERS:
            raise ConfigError(
                f"VonMisesConfig: {self.num_components} components of {self.event.num_dims} "
                f"angles, given {inputs - 1} values, are over 2^20 distributions. Take fewer "
                "components."
            )


class VonMises(GenerativeModel[VonMisesConfig]):
    """A mixture of von Mises distributions: p(x | c) = Σ_k π_k(c) Π_d VM(x_d; η_kd(c)).

    The natural parameters η = κ (cos μ, sin μ), and the logits of the weights π, are affine in
    the conditions: a label adds a row of a table, an angle y adds A (cos y, sin y). So a mean
    direction may turn with y, and a concentration grow. Each component is then the conditional
    distribution of the bivariate von Mises distribution. A label that is not given adds 0.

    | Statistics of Directional Data (Mardia, 1975)

    Arguments:
        config: Spaces, and the number of components.
    """

    Config = VonMisesConfig
    event_spaces = (Angle,)
    condition_spaces = (Angle, Label)
    papers = (
        (
            "K. V. Mardia. Statistics of Directional Data. Journal of the Royal Statistical "
            "Society B, 1975."
        ),
    )
    limits = ("Within a component the angles of a row are independent.",)

    def __init__(self, config: VonMisesConfig) -> None:
        super().__init__(config)
        num, angles = config.num_components, self.event.num_dims
        self.eta = nn.Parameter(torch.randn(num, angles, 2))
        self.logits = nn.Parameter(torch.zeros(num))
        inputs = sum(map(_num_inputs, self.conditions.values()))
        self.shift = nn.Linear(inputs, num * (2 * angles + 1), bias=False) if inputs else None

    @classmethod
    def example(cls) -> tuple[VonMisesConfig, Batch]:
        """Return one of two angles, given a label and an angle, and twelve rows for it."""
        event, phase = Angle(shape=(2,)), Angle(shape=(1,))
        generator = torch.Generator().manual_seed(0)
        rows = {"x": event, "label": Label(num_classes=3), "phase": phase}
        batch = {name: space.reference(12, generator)[0] for name, space in rows.items()}
        conditions = {name: space for name, space in rows.items() if name != "x"}
        return VonMisesConfig(event=event, num_components=3, conditions=conditions), batch

    @classmethod
    def default_stages(cls, config: VonMisesConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood with Adam."""
        training = {"max_steps": 2000, "batch_size": 256, "lr_scheduler": "cosine"}
        return (Stage(objective=Component(name="von-mises-nll"), trainer=training),)

    @classmethod
    def default_sampler(cls, config: VonMisesConfig) -> Component:
        """Return rejection sampling."""
        return Component(name="von-mises")

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log p(x | c) of each row (N, *event_shape), in nats; it is exact."""
        self.check_rows(x)
        given = self.checked_condition(condition, len(x))

        def of(rows: slice) -> Tensor:
            placed = self.event.place(x[rows], self.device, self.dtype)
            part = condition_rows(given, self.conditions, rows)
            eta, logits = self.parameters_for(part, len(placed))
            found = log_density(eta, points(placed)[:, None]).sum(-1)
            return (logits.log_softmax(-1) + found).logsumexp(-1)

        return LogProb(values=by_blocks(of, len(x), _BLOCK), kind="exact", measure="density")

    def parameters_for(self, conditions: Conditions, num: int) -> tuple[Tensor, Tensor]:
        """Return η, (num, K, D, 2), and the logits of the weights, (num, K), for each row.

        Arguments:
            conditions: ``num`` rows of each condition, in canonical form on the model's device.
            num: The number of rows.
        """
        eta = self.eta.expand(num, *self.eta.shape)
        logits = self.logits.expand(num, *self.logits.shape)
        if self.shift is None:
            return eta, logits
        inputs = _inputs(conditions, self.conditions).to(self.dtype)
        added = self.shift(inputs).to(self.dtype).reshape(num, len(self.logits), -1)
        return eta + added[..., 1:].reshape(eta.shape), logits + added[..., 0]


def _num_inputs(space: Space) -> int:
    """Return how many values a condition is, as a vector."""
    return space.num_classes if isinstance(space, Label) else 2 * space.num_dims


def _inputs(conditions: Conditions, spaces: Mapping[str, Space]) -> Tensor:
    """Return the vectors of all conditions, concatenated in the order of their names."""
    return torch.cat([_vector(spaces[name], conditions[name]) for name in sorted(spaces)], dim=1)


def _vector(space: Space, values: Tensor) -> Tensor:
    """Return (cos y, sin y) of angles, one of C for labels, and 0 for one that is not given."""
    if isinstance(space, Label):
        return F.one_hot(values + 1, space.num_classes + 1)[:, 1:]
    return points(values).flatten(1)
