"""Flow: a normalising flow of zuko."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import zuko
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Component,
    Config,
    ConfigError,
    DataInfo,
    GenerativeModel,
    LogProb,
    Real,
    Space,
    Stage,
    Unit,
    by_blocks,
)

_Width = Annotated[int, Bounds(1, 2**9)]
_FLOWS = {"maf": zuko.flows.MAF, "nsf": zuko.flows.NSF}
MAX_VALUES = 2**10


@dataclass(frozen=True, kw_only=True)
class FlowConfig(Config):
    """A normalising flow."""

    event: Space
    """The space of the data."""
    transform: Literal["maf", "nsf"] = "nsf"
    """Affine autoregressive transforms, or splines."""
    num_transforms: Annotated[int, Bounds(1, 16)] = 3
    """How many of them."""
    hidden_dims: Annotated[tuple[_Width, ...], Bounds(1, 4)] = (64, 64)
    """The widths of each transform's hidden layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.event.num_dims > MAX_VALUES:
            raise ConfigError(
                f"FlowConfig: an example may have {MAX_VALUES} values, {self.event.event_shape} "
                f"has {self.event.num_dims}. Make the images smaller."
            )


class Flow(GenerativeModel[FlowConfig]):
    """A normalising flow: log p(x) = log N(f(x); 0, I) + log |det ∂f(x)/∂x|.

    f is a chain of autoregressive transforms. The data are first shifted and scaled by their own
    mean and standard deviation.

    | Masked Autoregressive Flow for Density Estimation (Papamakarios, Pavlakou, Murray, 2017)
    | Neural Spline Flows (Durkan, Bekasov, Murray, Papamakarios, 2019)

    Arguments:
        config: The space of the data, and the transforms.
    """

    Config = FlowConfig
    event_spaces = (Real, Unit)
    papers = (
        "G. Papamakarios, T. Pavlakou, I. Murray. Masked Autoregressive Flow. 2017.",
        "C. Durkan, A. Bekasov, I. Murray, G. Papamakarios. Neural Spline Flows. 2019.",
    )
    limits = ("A density can grow without end where values lie on a grid, such as grey levels.",)

    centre: Tensor
    scale: Tensor
    data_seen: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        size = self.event.num_dims
        # zuko computes its masks from values, which the meta device has none of: the flow is made
        # on the CPU, and then put where genzoo asks for it. So the config's bounds are narrow.
        with torch.device("cpu"):
            make = _FLOWS[config.transform]
            flow = make(size, transforms=config.num_transforms, hidden_features=config.hidden_dims)
        self.flow = flow.to(torch.get_default_device())
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("data_seen", torch.zeros((), dtype=torch.bool))

    @classmethod
    def configure(
        cls, info: DataInfo, conditions: Sequence[str] | None = None, **overrides: Any
    ) -> Any:
        """Return a config that fits the data; a density is not one of levels of grey."""
        given = {"event": info[cls.event_field].relaxed(), **overrides}
        return super().configure(info, conditions, **given)

    @classmethod
    def example(cls) -> tuple[FlowConfig, Batch]:
        """Return a flow of two values, and sixteen rows for it."""
        x = 2 + torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
        return FlowConfig(event=Real(shape=(2,)), num_transforms=2, hidden_dims=(8,)), {"x": x}

    @classmethod
    def default_stages(cls, config: FlowConfig) -> tuple[Stage, ...]:
        """Return maximum likelihood with Adam."""
        training = {
            "max_steps": 5000,
            "batch_size": 256,
            "lr_scheduler": "cosine",
            "max_grad_norm": 5.0,
        }
        return (Stage(objective=Component(name="flow-nll"), trainer=training),)

    @classmethod
    def default_sampler(cls, config: FlowConfig) -> Component:
        """Return the way back through the flow."""
        return Component(name="flow")

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log p(x) of each row (N, *event_shape), in nats; it is exact."""
        self.check_rows(x)
        self.checked_condition(condition, len(x))
        flow, log_scale = self.flow(), self.scale.log().sum()
        values = by_blocks(lambda rows: flow.log_prob(self.scaled(x[rows])), len(x), 1024)
        return LogProb(values=values - log_scale, kind="exact", measure="density")

    def scaled(self, x: Tensor) -> Tensor:
        """Return examples as rows (B, D), shifted and scaled."""
        return (x.to(self.device, self.dtype).flatten(1) - self.centre) / self.scale

    @property
    def codes(self) -> Space:
        """Codes z, (D,)."""
        return Real(shape=(self.event.num_dims,))

    def encode(self, x: Tensor, *, condition: Any = None) -> Tensor:
        """Return f(x), (B, D), which is normally distributed where the model fits."""
        self.checked_condition(condition, len(x))
        return self.flow().transform(self.scaled(self.checked_rows(x)))

    def draw_codes(
        self, x: Tensor, *, condition: Any = None, generator: torch.Generator
    ) -> Tensor:
        """Return f(x), (B, D): the code of an example is deterministic."""
        return self.encode(x, condition=condition)

    def decode(self, z: Tensor, *, condition: Any = None) -> Tensor:
        """Return the example (B, *event_shape) of each code (B, D)."""
        self.checked_condition(condition, len(z))
        z = self.checked_codes(z, self.codes.event_shape)
        values = self.flow().transform.inv(z)
        return (self.centre + self.scale * values).reshape(len(z), *self.event_shape)

    # A start from data

    def needs_data_init(self) -> bool:
        """Whether the statistics of the data are still missing."""
        return not bool(self.data_seen)

    def init_from_data(self, batch: Batch, info: DataInfo) -> None:
        """Take the data's mean, and their standard deviation where they vary."""
        x = batch["x"].to(self.scale).flatten(1)
        self.centre.copy_(x.mean(0))
        self.scale.copy_(x.std(0).clamp_min(0.1))
        self.data_seen.fill_(True)
