"""Draws that samplers share."""

from __future__ import annotations

import torch
from torch import Tensor


def bernoulli(*, logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw zeros and ones with probabilities σ(logits); where a logit is not finite, NaN.

    So a model whose values overflow does not draw zeros and ones as if nothing had happened:
    `GenerativeModel.sample` names it.

    Arguments:
        logits: log(p / (1 − p)), of any shape; the draws have its shape and type.
        generator: The one source of randomness, on the device of ``logits``.
    """
    logits = logits.detach()
    u = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    # u < NaN is false, a zero; 0 · NaN and 0 · ∞ are NaN, and 0 times anything else adds nothing.
    return u.lt_(logits.sigmoid()).add_(logits, alpha=0)
