"""Text encoders: the text conditions of a denoiser."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Encoded:
    """B texts as sequences of L states.

    Arguments:
        sequence: The states, (B, L, D).
        mask: Which states a denoiser may attend to, (B, L), bool; None for all.
    """

    sequence: Tensor
    mask: Tensor | None = None


class TextEncoder(nn.Module, abc.ABC):
    """Abstract base class of text encoders, which encode each text independently.

    The empty text is encoded like other texts; its states stand for no condition.
    """

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """D, the size of a state."""

    @abc.abstractmethod
    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts.

        Raises:
            ConditionError: A text is too long, or has no known word.
        """
