"""How a flow learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch

from genzoo.plugin import Batch, Bounds, Component, Config, Loss, Objective, Step
from genzoo_zuko.flow import Flow


@dataclass(frozen=True, kw_only=True)
class NegativeLogLikelihoodConfig(Config):
    """Maximum likelihood."""

    noise: Annotated[float, Bounds(0.0, 1.0)] = 0.0
    """The standard deviation of what is added to the data, for values that lie on a grid."""


class NegativeLogLikelihood(Objective[NegativeLogLikelihoodConfig]):
    """−log p(x + noise · ε), ε ~ N(0, I), the mean over the batch."""

    Config = NegativeLogLikelihoodConfig
    requires = (Flow,)

    @classmethod
    def optimizers(cls, config: NegativeLogLikelihoodConfig) -> Mapping[str, Component]:
        """Return Adam."""
        return {"model": Component(name="adam", config={"lr": 1e-3})}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the one loss."""
        x = batch["x"]
        if self.config.noise:
            shape, kind = x.shape, {"device": x.device, "dtype": x.dtype}
            x = x + self.config.noise * torch.randn(shape, generator=step.generator, **kind)
        yield Loss(-self.model.log_prob(x).values.mean())
