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
        mask: Which of them a denoiser may attend to, (B, L), bool; None for all.
    """

    sequence: Tensor
    mask: Tensor | None = None


class TextEncoder(nn.Module, abc.ABC):
    """Texts to sequences of states, deterministically, each text by itself; abstract.

    The empty text is a text like others: what it is encoded as stands for no condition.
    """

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """D, the size of a state."""

    @abc.abstractmethod
    def forward(self, texts: Sequence[str], device: torch.device) -> Encoded:
        """Return the states of B texts.

        Raises:
            ConditionError: A text is too long, or says nothing that the encoder knows.
        """
