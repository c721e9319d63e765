"""Inpainting of discrete data: draws a part of x given the rest."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.plugin import ConfigError, evaluating
from genzoo_diffusion.discrete_kernels import Absorbing
from genzoo_diffusion.discrete_samplers import (
    DiscreteAncestral,
    DiscreteAncestralConfig,
    Watched,
    draw,
    first_state,
)
from genzoo_diffusion.guidance import Conditioned, Denoiser

if TYPE_CHECKING:
    from genzoo_diffusion.discrete_diffusion import DiscreteDiffusion

CORRECTIONS = 4
"""The number of corrections for each step of a uniform kernel."""


@torch.no_grad()
def inpaint(
    model: DiscreteDiffusion,
    x: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    num_inference_steps: int,
    condition: Any,
) -> Tensor:
    """Return ``x`` with values drawn where ``mask`` is true; see `DiscreteDiffusion.inpaint`."""
    if num_inference_steps < 1:
        raise ConfigError(f"num_inference_steps must be at least 1, got {num_inference_steps}.")
    num, known = x.shape[0], model.state(x)
    denoiser = Watched(Conditioned(model, model.signal(condition, num)), model.device)
    fresh = first_state(model, num, generator)
    sampler = DiscreteAncestral(DiscreteAncestralConfig(num_inference_steps=num_inference_steps))
    with evaluating(model):
        if isinstance(model.kernel, Absorbing):
            states = sampler.steps(model, denoiser, torch.where(mask, fresh, known), generator)
        else:
            states = _replacing(model, denoiser, known, mask, generator, num_inference_steps)
        found = model.to_data(deque(states, maxlen=1)[0])
    denoiser.check()
    return torch.where(mask, found, x)


def _replacing(
    model: DiscreteDiffusion,
    denoiser: Denoiser,
    known: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    num: int,
) -> Iterator[Tensor]:
    """Yield states whose known places are noised anew to the time of each step.

    | RePaint: Inpainting using Denoising Diffusion Probabilistic Models (Lugmayr et al., 2022),
    | for the repeated steps
    """
    x = first_state(model, known.shape[0], generator)
    times = torch.linspace(1, 0, num + 1, dtype=torch.float64).tolist()
    for t, s in itertools.pairwise(times):
        for again in range(CORRECTIONS + 1):
            if again:
                x = model.kernel.noised(x, model.keep(s, t), generator)
            x = torch.where(mask, x, model.kernel.noised(known, model.alpha(t), generator))
            p = model.informed(denoiser(x, t), x, t).softmax(-1)
            x = draw(model.kernel.reverse(x, p, model.alpha(s), model.alpha(t)), generator)
        yield model.settled(x) if s == 0 else x
