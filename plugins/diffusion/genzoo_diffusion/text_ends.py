"""Rows of texts: what the places that are known say about where the text ends."""

from __future__ import annotations

from torch import Tensor


def consistent(logits: Tensor, x_t: Tensor, mask: int, padding: int) -> Tensor:
    """Return the logits of masked places, −∞ for what no text can have there.

    After a known padding there is only padding. Before a known letter there is none. So paddings
    after the end of a text have probability one as soon as its end is known.

    Arguments:
        logits: The logits, (B, *shape, K).
        x_t: The state, (B, *shape), with ``mask`` where a place is masked.
        mask: The index of the mask.
        padding: The index of the padding.
    """
    known = x_t.flatten(1)
    is_padding = known == padding
    is_letter = (known != mask) & ~is_padding
    after = is_padding.cumsum(1) > 0
    before = is_letter.flip(1).cumsum(1).flip(1) > 0
    flat = logits.flatten(1, -2)
    letters = flat.new_zeros(flat.shape[-1]).bool()
    letters[:padding] = True
    refused = (after.unsqueeze(-1) & letters) | (before.unsqueeze(-1) & ~letters)
    return flat.masked_fill(refused, float("-inf")).view_as(logits)
