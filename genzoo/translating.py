"""The way there and back: what a translation keeps of its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.sampling import evaluating

OTHER = {"x": "y", "y": "x"}
"""The other one of two domains."""
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Cycle:
    """Examples, their translations, and those translated back; N of each.

    Arguments:
        source: The examples.
        translated: As the other domain would have them.
        back: The translations, as the examples' own domain would have them.
    """

    source: Tensor
    translated: Tensor
    back: Tensor

    def errors(self) -> Tensor:
        """Return the mean absolute difference of each example and what came back, (N,)."""
        return (self.back - self.source).abs().flatten(1).mean(1)

    def rows(self, index: Tensor) -> Cycle:
        """Return the examples at ``index``."""
        return Cycle(self.source[index], self.translated[index], self.back[index])

    def worst(self, num: int) -> Cycle:
        """Return the ``num`` examples of the highest error, the highest first."""
        return self.rows(self.errors().argsort(descending=True, stable=True)[:num])

    def stages(self) -> list[Tensor]:
        """Return source, translation and return, in that order."""
        return [self.source, self.translated, self.back]


@torch.no_grad()
def there_and_back(model: Any, x: Tensor, *, to: str) -> Cycle:
    """Translate examples and back again, in eval mode, block by block; the result is on the CPU.

    Arguments:
        model: A model that `SupportsTranslate`.
        x: Examples of one domain, (N, *event_shape).
        to: The other domain, "y" or "x".
    """
    with evaluating(model):
        found = []
        for block in torch.split(x, _BLOCK):
            translated = model.translate(block, to=to)
            found.append((translated.cpu(), model.translate(translated, to=OTHER[to]).cpu()))
    translated, back = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Cycle(x.cpu(), translated, back)
