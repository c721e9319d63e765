"""How a mixture of von Mises distributions is sampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from genzoo.plugin import (
    NO_CONDITIONS,
    Bounds,
    CapabilityError,
    Conditions,
    Config,
    Model,
    Sampler,
    null_conditions,
)
from genzoo_angle.mixture import VonMises
from genzoo_angle.von_mises import draw


@dataclass(frozen=True, kw_only=True)
class RejectionConfig(Config):
    """Draws from the mixture itself."""

    guidance_scale: Annotated[float, Bounds(0.0, 100.0)] = 1.0
    """s: 1 draws given the condition, 0 without it; more goes further away from what is drawn
    without it."""


class Rejection(Sampler[RejectionConfig]):
    """A component for each row, then its angles, by rejection. A trajectory has one state, x.

    A guided draw takes the parameters θ_∅ + s (θ_c − θ_∅). For one component, whose η adds up,
    that is a draw from the distribution in proportion to p(x | c)^s p(x)^(1 − s).

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022)
    """

    Config = RejectionConfig
    requires = (VonMises,)

    def trajectory(
        self,
        model: Model,
        num: int,
        *,
        start: Tensor | None = None,
        condition: Conditions = NO_CONDITIONS,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Yield x, (num, *event_shape).

        Raises:
            CapabilityError: A state to start from is given.
            ConditionError: A draw is to be guided, and the model has not learned to do without
                its conditions.
        """
        mixture: VonMises = self.checked(model)
        if start is not None:
            raise CapabilityError(
                "A draw from a mixture has no state to start from. Leave it out."
            )
        eta, logits = mixture.parameters_for(condition, num)
        if (scale := self.config.guidance_scale) != 1:
            null = mixture.parameters_for(null_conditions(mixture, num), num)
            eta, logits = torch.lerp(null[0], eta, scale), torch.lerp(null[1], logits, scale)
        uniform = torch.rand(logits.shape, generator=generator, device=logits.device)
        gumbel = -(-uniform.log()).log()
        chosen = (logits.double() + gumbel).argmax(-1)
        rows = torch.arange(num, device=eta.device)
        yield draw(eta[rows, chosen], generator).reshape(num, *mixture.event_shape)
