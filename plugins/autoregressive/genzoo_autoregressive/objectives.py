"""The objective of autoregressive models: the negative log-likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from genzoo.plugin import Batch, Bounds, Config, Goal, Loss, Meaning, Objective, Step
from genzoo_autoregressive.model import Autoregressive


@dataclass(frozen=True, kw_only=True)
class NLLConfig(Config):
    """The negative log-likelihood."""

    lr: Annotated[float, Bounds(0.0, 1e3)] = 1e-3
    """The learning rate of Adam."""


class NLL(Objective[NLLConfig]):
    """Maximum likelihood: minimises −log p(x), the mean over the rows of a batch.

    It is exact, so a held-out log-likelihood is its own measure of success. A model may train on
    one of its masks or orders at a time; see its ``training_loss``.
    """

    Config = NLLConfig
    requires = (Autoregressive,)
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "loss": Meaning(
            "negative log-likelihood of the examples, of the masks and orders of this update",
            unit="nats",
            goal=Goal("lower", 0.0),
            healthy="it falls fast, then slowly; held out, it rises when the model overfits",
        ),
        "bits_per_dim": Meaning(
            "the same for one value, in bits: how many a code would need",
            unit="bits",
            goal=Goal("lower", 0.0),
            healthy="it falls from log2 of the number of values, at first fast, then slowly",
        ),
    }
    model: Autoregressive[Any]

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the mean of −log p(x)."""
        model = self.model
        given = model.condition_vectors(model.conditions_of(batch))
        x = model.event.place(batch["x"], model.device, model.dtype).flatten(1)
        value = model.training_loss(x, given, step).mean()
        bits = value.detach() / (math.log(2) * model.num_places)
        yield Loss(value, metrics={"bits_per_dim": bits})
