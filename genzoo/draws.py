"""Draws that samplers share."""

from __future__ import annotations

import torch
from torch import Tensor


def bernoulli(*, logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw zeros and ones with probabilities σ(logits), and NaN for logits that are not finite.

    So a model whose values overflow does not silently draw zeros and ones:
    `GenerativeModel.sample` raises an error.

    Arguments:
        logits: log(p / (1 − p)), of any shape; the draws have the same shape and dtype.
        generator: The only source of randomness, on the device of ``logits``.
    """
    logits = logits.detach()
    u = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    # u < NaN is false, a zero; 0 · NaN and 0 · ∞ are NaN, and 0 times anything else adds nothing.
    return u.lt_(logits.sigmoid()).add_(logits, alpha=0)
