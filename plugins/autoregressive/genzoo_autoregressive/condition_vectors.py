"""Conditions as vectors: one embedding for each class of space, summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from genzoo.plugin import (
    ConditionError,
    Conditions,
    ConfigError,
    Grammar,
    Label,
    Real,
    Space,
    Text,
    words_of,
)

SPACES: tuple[type[Space], ...] = (Label, Real, Text)
"""The spaces of conditions that have an embedding."""
_MOST_SHOWN = 60
_STD = 0.01


class ConditionVectors(nn.Module):
    """The sum of the embeddings of all conditions, (B, width); None without conditions.

    A label has a vector of its own, real values a linear map, a text the mean of the vectors of
    its words. So the sum is differentiable in real conditions.

    Arguments:
        spaces: The space of each condition by its name.
        width: The size of the vector.
    """

    def __init__(self, spaces: Mapping[str, Space], width: int) -> None:
        super().__init__()
        # In the order of their names: a file may store the conditions in another one.
        self.names = sorted(spaces)
        self.parts = nn.ModuleList(_embedding(spaces[name], width) for name in self.names)

    def forward(self, conditions: Conditions) -> Tensor | None:
        """Return the vectors of rows of each condition, in canonical form.

        Raises:
            ConditionError: A text has no word that is known.
        """
        found = [part(conditions[name]) for name, part in zip(self.names, self.parts, strict=True)]
        return torch.stack(found).sum(0) if found else None


def check_conditions(spaces: Mapping[str, Space]) -> None:
    """Raise ConfigError if the words of a text are not known."""
    for name, space in spaces.items():
        if isinstance(space, Text) and not _vocabulary(space):
            raise ConfigError(
                f"The condition {name} is of texts without templates, so its words are not known. "
                "Train with captions that are made from templates (--data.captions)."
            )


def _vocabulary(space: Text) -> tuple[str, ...]:
    return Grammar(space.templates).words() if space.templates else ()


def _embedding(space: Space, width: int) -> nn.Module:
    if isinstance(space, Label):
        table = nn.Embedding(space.num_classes, width)
        nn.init.normal_(table.weight, std=_STD)
        return table
    if isinstance(space, Text):
        return WordVectors(_vocabulary(space), width)
    return RealVectors(space.num_dims, width)


class RealVectors(nn.Module):
    """A linear map of real values of any shape, (B, ...) to (B, width)."""

    def __init__(self, num: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, num))
        nn.init.normal_(self.weight, std=_STD)

    def forward(self, values: Tensor) -> Tensor:
        """Return the map of each row."""
        return nn.functional.linear(values.flatten(1).to(self.weight.dtype), self.weight)


class WordVectors(nn.Module):
    """The mean of the vectors of a text's words; words that are not known are left out.

    Arguments:
        words: The vocabulary, in lower case.
        width: The size of a vector.
    """

    def __init__(self, words: Sequence[str], width: int) -> None:
        super().__init__()
        self.index = {word: i for i, word in enumerate(words)}
        self.bag = nn.EmbeddingBag(len(words), width, mode="mean")
        nn.init.normal_(self.bag.weight, std=_STD)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of B texts, (B, width).

        Raises:
            ConditionError: A text has no known word.
        """
        ids = [self._ids(text) for text in texts]
        starts = [0]
        for known in ids[:-1]:
            starts.append(starts[-1] + len(known))
        device = self.bag.weight.device
        flat = torch.tensor([i for known in ids for i in known], dtype=torch.long, device=device)
        offsets = torch.tensor(starts[: len(ids)], dtype=torch.long, device=device)
        found: Tensor = self.bag(flat, offsets)
        return found

    def _ids(self, text: str) -> list[int]:
        found = [self.index[word] for word in words_of(text) if word in self.index]
        if found:
            return found
        words = list(self.index)
        more = f" and {len(words) - _MOST_SHOWN} more" if len(words) > _MOST_SHOWN else ""
        raise ConditionError(
            f"The text {text!r} has no word that this model knows. It knows: "
            f"{', '.join(words[:_MOST_SHOWN])}{more}."
        )
