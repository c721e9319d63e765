"""The chain of the likelihood: its last step, and its requirements on a sampler."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genzoo.plugin import CapabilityError, ConfigError
from genzoo_diffusion.ddpm import DDPM
from genzoo_diffusion.levels import Predictor
from genzoo_diffusion.vlb import step_variance


def last_draw(predictor: Predictor, x_0: Tensor) -> Tensor:
    """Return draws from p(x_0 | x at time 0), which is N(x̂_0, σ_0² I), or its grey levels if any.

    A draw from the normal distribution is rounded to the nearest level, and to the outermost one
    outside [−1, 1], as in `Bound.decoder`.

    | Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel, 2020), equation 13

    Arguments:
        predictor: The predictions of a `DDPM`, for its levels and variance.
        x_0: x̂_0, (B, *state_shape).
    """
    model: Any = predictor.model
    drawn = x_0 + step_variance(model)[0].sqrt().item() * predictor.noise(x_0)
    if model.levels is None:
        return drawn
    most = model.levels - 1
    level = ((drawn + 1) / 2 * most).round().clamp(0, most)
    found: Tensor = 2 * level / most - 1
    return found


def check_exact(model: Any, config: Any) -> None:
    """Check that an `ancestral.DDPMConfig` allows draws from a model's exact chain.

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
