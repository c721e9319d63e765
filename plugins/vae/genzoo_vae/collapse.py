"""Detection of posterior collapse."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from genzoo.plugin import Step

logger = logging.getLogger("genzoo")
THRESHOLD = 0.01
MIN_STEPS = 100
"""Before this number of updates, an unused code is not a failure."""


def active_units(mean: Tensor) -> Tensor:
    """Return the number of latents for which the mean of q(z | x), (B, L, ...), varies.

    | Importance Weighted Autoencoders (Burda, Grosse, Salakhutdinov, 2016)
    """
    varies = torch.var(mean, dim=0, correction=0) > THRESHOLD
    return varies.reshape(len(varies), -1).any(1).sum().to(mean.dtype)


def is_due(step: Step) -> bool:
    """Whether to check for collapse: in the middle and at the end of training."""
    return (
        step.slot == 0
        and step.index + 1 >= MIN_STEPS
        and step.index + 1 in (step.total // 2, step.total)
    )


def warn_if_collapsed(active: Tensor, latent_dim: int, step: Step) -> None:
    """Warn that no dimension of z is used, with remedies."""
    if active.item() > 0:
        return
    logger.warning(
        "The posterior has collapsed: after step %d of %d none of the %d dimensions of z depends "
        "on x, so the decoder ignores the code. Remedies: increase the KL weight slowly "
        "(--objective.kl-warmup 0.5), use free bits (--objective.free-bits 0.1) or an auxiliary "
        "loss (--objective.auxiliary-weight 1), lower --objective.kl-weight, optimise codes for "
        "each example (--model.posterior semi-amortised), or make the decoder weaker.",
        step.index + 1,
        step.total,
        latent_dim,
    )
