"""Text encoders: what a denoiser is told of a text."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genzoo import ConditionError
from genzoo_diffusion.conditioning import Embedder, Signal


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


class TextEmbedder(Embedder):
    """Makes of texts what a denoiser attends to; no condition is the empty text.

    Arguments:
        encoder: Encodes the texts.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, condition: Any, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` texts, or of one for all."""
        if condition is None:
            raise ConditionError("This model needs a text for each sample. Give condition=....")
        texts = [condition] * num if isinstance(condition, str) else list(condition)
        if len(texts) != num or not all(isinstance(text, str) for text in texts):
            raise ConditionError(f"{num} texts are needed, or one for all; got {condition!r}.")
        return self._signal(texts, device)

    def null(self, num: int, device: torch.device) -> Signal:
        """Return the signal of ``num`` empty texts."""
        one = self._signal([""], device)
        mask = None if one.mask is None else one.mask.expand(num, -1)
        return Signal(
            tokens=None if one.tokens is None else one.tokens.expand(num, -1, -1), mask=mask
        )

    def _signal(self, texts: list[str], device: torch.device) -> Signal:
        """Return the signal of texts, each of which is encoded once however often it stands."""
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        encoded: Encoded = self.encoder(list(row), device)
        signal = Signal(tokens=encoded.sequence, mask=encoded.mask)
        if len(row) == len(texts):
            return signal
        return signal.rows(torch.tensor([row[text] for text in texts], device=device))
