"""How a flow is sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import NO_CONDITIONS, Bounds, Conditions, Config, Model, Sampler
from genzoo_zuko.flow import Flow


@dataclass(frozen=True, kw_only=True)
class InverseConfig(Config):
    """The way back through a flow."""

    temperature: Annotated[float, Bounds(0.0, 10.0)] = 1.0
    """What codes are multiplied by."""


class Inverse(Sampler[InverseConfig]):
    """z ~ N(0, I), x = f⁻¹(z). A trajectory has one state, x; ``start`` holds codes z."""

    Config = InverseConfig
    requires = (Flow,)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, *event_shape)."""
        flow: Flow = self.checked(model)
        z = start
        if z is None:
            shape = (num, len(flow.centre))
            z = torch.randn(shape, generator=generator, device=flow.device, dtype=flow.dtype)
        yield flow.decode(self.config.temperature * z, condition=condition)
