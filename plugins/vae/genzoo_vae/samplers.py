"""The sampler of models with latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from genzoo.plugin import (
    NO_CONDITIONS,
    Bounds,
    CapabilityError,
    Conditions,
    Config,
    Model,
    OneDraw,
)
from genzoo_vae.families.continuous import ContinuousFamily
from genzoo_vae.latents import LatentModel


@dataclass(frozen=True, kw_only=True)
class PriorConfig(Config):
    """A code from the prior, then x given the code."""

    output: Literal["sample", "mean"] = "sample"
    """A draw from p(x | z), or its mean, which is smoother but not a sample; of categories the
    most probable ones."""
    temperature: Annotated[float, Bounds(0.0, 100.0)] = 1.0
    """The factor of continuous codes; values below 1 draw nearer to the most likely codes."""


class Prior(OneDraw[PriorConfig]):
    """Ancestral sampling: z from the prior, then x ~ p(x | z), layer by layer."""

    Config = PriorConfig
    requires = (LatentModel,)

    def trajectory(
        self,
        model: Model[Any],
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield the sample, (num, *event_shape)."""
        known: Any = self.checked(model)
        y = known.vectors(condition)
        z = known.draw_top(num, y, generator) if start is None else known.values_of(start)
        yield self._decoded(known, z, y, generator)

    def decode(
        self,
        model: LatentModel[Any],
        z: Tensor,
        condition: Conditions,
        generator: torch.Generator,
    ) -> Tensor:
        """Return x, (num, *event_shape), for codes before the temperature."""
        return self._decoded(model, model.values_of(z), model.vectors(condition), generator)

    def _decoded(
        self,
        model: LatentModel[Any],
        z: Tensor,
        y: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        if self.config.temperature != 1:
            _check_continuous(model, self.config.temperature)
            z = self.config.temperature * z
        if self.config.output == "mean":
            return model.mean_below(z, y)
        return model.draw_below(z, y, generator)[0]


def _check_continuous(model: LatentModel[Any], temperature: float) -> None:
    """Raise CapabilityError for discrete codes, which have no factor."""
    if not isinstance(model.families[-1], ContinuousFamily):
        raise CapabilityError(
            f"The temperature is a factor of continuous codes, got {temperature}; those of "
            f"{type(model).__name__} are {model.families[-1].title}. Leave it at 1."
        )
