"""x, where only a part of it is given."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.sampling import evaluating
from genzoo_diffusion.guidance import Conditioned, unconditional

if TYPE_CHECKING:
    from genzoo_diffusion.ddpm import DDPM


@torch.no_grad()
def complete(
    model: DDPM,
    x: Tensor,
    known: Tensor,
    generator: torch.Generator,
    num_steps: int,
    condition: Any,
) -> Tensor:
    """Return ``x`` where ``known``, and a draw given it elsewhere; see `DDPM.complete`."""
    from genzoo_diffusion.grid import times
    from genzoo_diffusion.samplers import DDPMSampler, standard_normal

    num, T = len(x), len(model.schedule)
    given = model.state(x.to(model.device, model.dtype))
    known = known.to(model.device).expand_as(given)

    def clamp(state: Tensor, t: int) -> Tensor:
        if t < 0:
            return torch.where(known, given, state)
        at = torch.full((num,), t, device=model.device)
        return torch.where(
            known, model.diffuse(given, at, standard_normal(model, num, generator)), state
        )

    signal = unconditional(model, num) if condition is None else model.signal(condition, num)
    grid = times("trailing", T, min(num_steps, T))
    solver = DDPMSampler().solver(model, grid)
    start = clamp(standard_normal(model, num, generator), grid[0])
    with evaluating(model):
        states = deque(solver.run(Conditioned(model, signal), start, generator, clamp), maxlen=1)
    return torch.where(known, x.to(start), model.present(states[0]))
