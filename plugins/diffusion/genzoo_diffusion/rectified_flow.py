"""The rectified flow of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import (
    Batch,
    Bounds,
    Label,
    Layout,
    LogProb,
    Real,
    Space,
)
from genzoo_diffusion.data_states import DataStates
from genzoo_diffusion.flow import Flow, FlowConfig
from genzoo_diffusion.ode_likelihood import log_density
from genzoo_diffusion.runge_kutta import Method

_FEW, _FINE, _COARSE = 8, 50, 20


@dataclass(frozen=True, kw_only=True)
class RectifiedFlowConfig(FlowConfig):
    """A rectified flow of data."""

    event: Space
    """The data: `Unit`, scaled to [−1, 1], with a likelihood of grey levels if it has levels; or
    `Real`, not scaled."""
    likelihood_method: Method = "rk4"
    """The method that solves the differential equation of the likelihood."""
    likelihood_steps: Annotated[int | None, Bounds(1, 10**5)] = None
    """Its number of steps; by default 50 for data of at most 8 numbers, else 20."""
    max_exact_dims: Annotated[int, Bounds(0, 2**16)] = 64
    """The largest number of dimensions for which the divergence is exact, by as many derivatives;
    above it, it is estimated."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fill_network(self.event.event_shape)
        few = self.event.num_dims <= _FEW
        self._fill(likelihood_steps=_FINE if few else _COARSE)
        self._check()


class RectifiedFlow(DataStates, Flow):
    """A rectified flow whose states are the data; data in [0, 1] are scaled to [−1, 1].

    With grey levels, x is a level, and the flow is a density of x plus uniform noise of the width
    of a level, in training as in the likelihood; samples are rounded to levels.

    | Flow Matching for Generative Modeling (Lipman, Chen, Ben-Hamu, Nickel, Le, 2023)
    | Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
    | (Liu, Gong, Liu, 2023)

    Arguments:
        config: Shapes and network.
    """

    Config = RectifiedFlowConfig
    config: RectifiedFlowConfig
    default_num_samples = 2
    papers = (
        (
            "Yaron Lipman, Ricky T. Q. Chen, Heli Ben-Hamu, Maximilian Nickel, Matt Le. Flow "
            "Matching for Generative Modeling. ICLR, 2023."
        ),
        (
            "Xingchao Liu, Chengyue Gong, Qiang Liu. Flow Straight and Fast: Learning to Generate "
            "and Transfer Data with Rectified Flow. ICLR, 2023."
        ),
        "Jonathan Ho, Tim Salimans. Classifier-Free Diffusion Guidance. 2022.",
    )
    limits = (
        (
            "Its likelihood is that of the differential equation. A sampler with few steps draws "
            "from another distribution, whose likelihood differs."
        ),
        (
            "Guidance above 1 does not draw from the model's distribution: samples fit their "
            "condition better and vary less."
        ),
        "A sample needs as many runs of the network as its sampler takes.",
    )

    def __init__(self, config: RectifiedFlowConfig) -> None:
        super().__init__(config, config.event.event_shape)

    @classmethod
    def example(cls) -> tuple[RectifiedFlowConfig, Batch]:
        """Return a small conditional flow of points in the plane, and twelve rows."""
        generator = torch.Generator().manual_seed(0)
        config = RectifiedFlowConfig(
            event=Real(shape=(2,)),
            hidden_dim=8,
            num_blocks=1,
            state_features=4,
            conditions={"label": Label(num_classes=3)},
            likelihood_steps=10,
        )
        x = torch.randn(12, 2, generator=generator)
        return config, {"x": x, "label": torch.arange(12) % 3}

    def layout(self) -> Layout:
        """Return diffusers' layout of a U-Net: ``unet/``, and a ``scheduler/`` of flows."""
        from genzoo_diffusion.diffusers_layout import layout_of

        return layout_of(self)

    # Units

    def training_state(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Scale data to states without noise; levels get uniform noise of a level's width."""
        if self.levels is None:
            return self.state(x)
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return self.state(x + (u - 0.5) / (self.levels - 1))

    def to_data(self, state: Tensor) -> Tensor:
        """Scale a state to the units of x; if the data have grey levels, to the nearest one."""
        x = super().to_data(state)
        if self.levels is None:
            return x
        most = self.levels - 1
        return (x * most).round() / most

    # Capabilities

    @property
    def log_prob_kind(self) -> Literal["exact", "lower bound", "stochastic estimate"]:
        """A lower bound for grey levels; else exact, or an estimate if the divergence is one."""
        if self.levels is not None:
            return "lower bound"
        return "exact" if self.has_exact_divergence else "stochastic estimate"

    @property
    def has_exact_divergence(self) -> bool:
        """Whether the divergence is computed dimension by dimension."""
        return self.event.num_dims <= self.config.max_exact_dims

    def log_prob(
        self,
        x: Tensor,
        *,
        condition: Any = None,
        generator: torch.Generator | None = None,
        num_samples: int | None = None,
    ) -> LogProb:
        """Return log p(x) of each row in nats, by the differential equation of the flow.

            log p(x_0) = log N(x_1; 0, I) + ∫₀¹ ∇·u(x_t, t) dt

        x_1 is where the equation carries x_0. Above ``max_exact_dims`` dimensions the divergence
        is estimated without bias by random directions. For grey levels it is a lower bound on the
        logarithm of a probability: that of x plus uniform noise.

        | FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models
        | (Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud, 2019)
        | A note on the evaluation of generative models (Theis, van den Oord, Bethge, 2016), for
        | the noise

        Arguments:
            x: Rows (N, *event_shape).
            condition: The condition of each row by name, or one for all.
            generator: The generator of noise and directions, on the model's device.
            num_samples: The number of draws of noise and directions for each row, 2 by default;
                an exact density has none.

        Raises:
            DataError: A row is not in the model's space.
        """
        self.check_rows(x)
        draws = self.checked_num_samples(num_samples)
        return log_density(self, x, self.signal(condition, len(x)), generator, draws)
