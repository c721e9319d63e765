"""Translations to another domain and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.errors import NotFiniteFigureError
from genzoo.process_group import map_blocks
from genzoo.sampling import evaluating
from genzoo.values import trusted

OTHER = {"x": "y", "y": "x"}
"""The other one of two domains."""
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Cycle:
    """N examples, their translations, and the translations of these back.

    Arguments:
        source: The examples.
        translated: The translations to the other domain.
        back: The translations back to the examples' own domain.
    """

    source: Tensor
    translated: Tensor
    back: Tensor

    def errors(self) -> Tensor:
        """Return the mean absolute difference of each example and its translation back, (N,)."""
        return (self.back - self.source).abs().flatten(1).mean(1)

    def rows(self, index: Tensor) -> Cycle:
        """Return the examples at ``index``."""
        return Cycle(self.source[index], self.translated[index], self.back[index])

    def worst(self, num: int) -> Cycle:
        """Return the ``num`` examples of the highest error, the highest first."""
        return self.rows(self.errors().argsort(descending=True, stable=True)[:num])

    def stages(self) -> list[Tensor]:
        """Return source, translation and translation back, in this order."""
        return [self.source, self.translated, self.back]


@torch.no_grad()
def there_and_back(model: Any, x: Tensor, *, to: str) -> Cycle:
    """Translate examples and back again, in eval mode, block by block; the result is on the CPU.

    Arguments:
        model: A model that `SupportsTranslate`.
        x: Examples of one domain, (N, *event_shape).
        to: The other domain, "y" or "x".

    Raises:
        DataError: The model cannot translate the examples.
        NotFiniteFigureError: A translation contains NaN or infinity.
    """
    blocks = torch.split(x, _BLOCK)

    def both(k: int) -> tuple[Tensor, Tensor]:
        translated = model.translate(blocks[k], to=to)
        with trusted():  # A translation may leave [0, 1] slightly.
            return translated.cpu(), model.translate(translated, to=OTHER[to]).cpu()

    with evaluating(model):
        found = map_blocks(both, len(blocks))
    translated, back = (torch.cat(parts) for parts in zip(*found, strict=True))
    if not bool(torch.isfinite(translated).all() and torch.isfinite(back).all()):
        raise NotFiniteFigureError(
            f"A translation to {to!r}, or the way back, holds NaN or infinity although rows and "
            "weights are finite. Check whether training diverged."
        )
    return Cycle(x.cpu(), translated, back)
