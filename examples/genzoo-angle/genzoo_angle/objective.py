"""How a mixture of von Mises distributions learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genzoo.plugin import Batch, Component, Config, Loss, Objective, Step, drop_conditions
from genzoo_angle.mixture import VonMises


@dataclass(frozen=True, kw_only=True)
class NegativeLogLikelihoodConfig(Config):
    """Maximum likelihood."""


class NegativeLogLikelihood(Objective[NegativeLogLikelihoodConfig]):
    """−log p(x | c), the mean over the batch; the conditions of some rows may be left out."""

    Config = NegativeLogLikelihoodConfig
    requires = (VonMises,)

    @classmethod
    def optimizers(cls, config: NegativeLogLikelihoodConfig) -> Mapping[str, Component]:
        """Return Adam."""
        return {"model": Component(name="adam", config={"lr": 0.1})}

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the one loss."""
        model: Any = self.model
        given = model.conditions_of(batch)
        if share := model.config.condition_dropout:
            given = drop_conditions(given, model.conditions, step.generator, together=share)
        yield Loss(-model.log_prob(batch["x"], condition=given).values.mean())
