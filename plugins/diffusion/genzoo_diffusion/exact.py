"""The chain of the likelihood: its last step, and its requirements on a sampler."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genzoo.plugin import CapabilityError, ConfigError
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.vlb import step_variance


class LastStep:
    """x_0 ~ p(x_0 | x at time 0): N(x̂_0, σ_0² I), cut into grey levels if the data have any.

    A draw from the normal distribution is rounded to the nearest level, and to the outermost one
    outside [−1, 1], as in `Bound.decoder`.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020), equation 13

    Arguments:
        model: The model, for levels and variance.
        generator: The generator of the noise.
    """

    def __init__(self, model: DDPM, generator: torch.Generator) -> None:
        self.model, self.generator = model, generator
        self.scale = step_variance(model)[0].sqrt().item()

    def __call__(self, state: Tensor, t: int) -> Tensor:
        """Return a state at time t unchanged; at time −1, for x̂_0, return a draw around it."""
        if t >= 0:
            return state
        noise = torch.randn(
            state.shape, generator=self.generator, device=state.device, dtype=state.dtype
        )
        drawn = state + self.scale * noise
        levels = self.model.levels
        if levels is None:
            return drawn
        most = levels - 1
        level = ((drawn + 1) / 2 * most).round().clamp(0, most)
        return 2 * level / most - 1


def check_exact(model: Any, config: Any) -> DDPM:
    """Return the model, if a `samplers.DDPMConfig` allows draws from its exact chain.

    Raises:
        CapabilityError: The model has no likelihood.
        ConfigError: A field makes the chain differ from that of the likelihood.
    """
    if not isinstance(model, DDPM):
        raise CapabilityError(
            f"exact is for models with the likelihood of a chain; {type(model).__name__} "
            "has none. Leave it out."
        )
    allowed: dict[str, tuple[Any, ...]] = {
        "num_inference_steps": (None, len(model.schedule)),
        "variance_type": (None, model.config.variance_type),
        "clip_sample": (True,),
        "guidance_scale": (1.0,),
        "strength": (None,),
    }
    wrong = [name for name, values in allowed.items() if getattr(config, name) not in values]
    if wrong:
        raise ConfigError(
            f"exact draws from the chain of the likelihood; {wrong[0]} = "
            f"{getattr(config, wrong[0])} changes it. Leave {' and '.join(wrong)} out."
        )
    return model
