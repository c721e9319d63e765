"""A model of the zoo as the decoder: p(x | z) with z as its condition."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from genzoo.plugin import (
    Batch,
    CapabilityError,
    ConfigError,
    DataInfo,
    ModelSpec,
    Real,
    Space,
    SupportsDataInit,
    make,
    trusted,
)
from genzoo_vae.likelihoods import Likelihood

CONDITION = "z"
"""The name of the condition that holds the code."""


class Codes(nn.Module):
    """The decoder in front of a `NestedLikelihood`: codes and conditions side by side, (B, L + C).

    Arguments:
        size: L + C.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.widest = size

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the code with the vectors of the conditions."""
        return z if y is None else torch.cat([z, y], dim=1)


class NestedLikelihood(Likelihood):
    """p(x | z) of a model with an exact likelihood and one condition, z.

    Such a model may know the dependence of pixels on each other, which independent pixels given z
    do not. It can then do without z, which is how a posterior collapses.

    Arguments:
        spec: The model, fitted by `fitted`.
        event: The space of the data.
        size: The size of z.

    Raises:
        ConfigError: The model's likelihood is not exact, or it is not of these data given z.
    """

    def __init__(self, spec: ModelSpec, event: Space, size: int) -> None:
        super().__init__()
        model: Any = spec.build()
        if model.log_prob_kind != "exact":
            raise ConfigError(
                f"A decoder needs an exact likelihood, which {spec.name} does not have. Use an "
                "autoregressive model, such as pixelcnn."
            )
        spaces = {CONDITION: Real(shape=(size,))}
        if model.event != event or dict(model.conditions) != spaces:
            raise ConfigError(
                f"The decoder {spec.name} is a model of {model.event.describe()} given "
                f"{', '.join(model.conditions) or 'nothing'}; it must be one of "
                f"{event.describe()} given {CONDITION}, a vector of {size} values. Leave out its "
                "event and conditions."
            )
        self.model = model
        self.event_shape = event.event_shape

    def forward(self, outputs: Tensor) -> Distribution:
        """Raise: values are not independent given z.

        Raises:
            CapabilityError: Always.
        """
        raise CapabilityError(
            "With a model as its decoder, p(x | z) is not a distribution of independent values. "
            "Use log_likelihood, decode, or the sampler."
        )

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z), (K, B), for codes (K, B, L) and examples (B, *event_shape)."""
        num, rows, size = outputs.shape
        x = x.expand(num, *x.shape).flatten(0, 1)
        with trusted():  # What is inside has been checked.
            found = self.model.log_prob(x, condition={CONDITION: outputs.reshape(-1, size)})
        values: Tensor = found.values
        return values.to(outputs.device, outputs.dtype).view(num, rows)

    def draw(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x from the model given codes (B, L), by its own sampler."""
        model = self.model
        sampler = make("samplers", type(model).default_sampler(model.config))
        states = sampler.trajectory(
            model, len(outputs), condition={CONDITION: outputs}, generator=generator
        )
        (last,) = deque(states, maxlen=1)
        drawn: Tensor = model.to_data(last)
        return drawn

    def mean(self, outputs: Tensor) -> Tensor:
        """Return a draw of a fixed seed: the mean has no closed form."""
        return self.draw(outputs, torch.Generator(device=outputs.device).manual_seed(0))

    def start_from(self, batch: Batch, info: DataInfo) -> None:
        """Initialise the model from data, if it starts from data."""
        model = self.model
        if isinstance(model, SupportsDataInit) and model.needs_data_init():
            model.init_from_data(batch, info)

    def location(self, mean: Tensor) -> Tensor:
        """Return the mean; the model starts from data itself."""
        return mean


def fitted(spec: ModelSpec, event: Space, size: int) -> ModelSpec:
    """Return a spec with the event and the condition filled in, if they are left out.

    Arguments:
        spec: The model.
        event: The space of the data.
        size: The size of z.
    """
    if "event" in spec.config:
        return spec
    info = DataInfo(fields={"x": event, CONDITION: Real(shape=(size,))})
    given = {**spec.config, "conditions": (CONDITION,)}
    return ModelSpec(name=spec.name, config=given).fitted(info)
