"""Draws of zeros and ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.random.bit_generator import ISeedSequence
from torch import Tensor

# From this size on, a separate stream saves more time than its creation takes.
_FEWEST_FOR_A_STREAM = 2**14


def bernoulli(probs: Tensor, generator: torch.Generator) -> Tensor:
    """Draw zeros and ones with the dtype of ``probs``.

    A uniform draw compared in place is several times as fast as ``torch.bernoulli`` on a CPU.
    """
    return uniform(probs, generator).lt_(probs)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw multiples of 2⁻²⁴ in [0, 1) in the shape of ``like``, distributed as by torch.rand.

    On a CPU, large numbers of float32 values come, two at a time, from the 64-bit words of numpy's
    SFC64, which the generator seeds. torch draws them one by one, in twice the time.
    """
    n = like.numel()
    if like.device.type != "cpu" or like.dtype != torch.float32 or n < _FEWEST_FOR_A_STREAM:
        return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    state: Any = _State(generator)  # numpy's documentation allows it, its annotations do not.
    bits = np.random.SFC64(state).random_raw((n + 1) // 2).view(np.int32)[:n]
    bits &= 2**24 - 1
    u = bits.astype(np.float32)
    u *= np.float32(2**-24)
    return torch.from_numpy(u).view(like.shape)


class _State(ISeedSequence):
    """The state of a stream, drawn from a generator.

    It is already mixed, because numpy's mixing of a seed takes as long as many thousand draws.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> np.ndarray[Any, Any]:
        """Return a number of words; SFC64 needs three of 64 bits."""
        words = torch.empty(n_words, dtype=torch.int64).random_(generator=self.generator)
        return words.numpy().astype(dtype)
