"""Rows that end: the last category is padding, and only padding follows it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genzoo.config import shown
from genzoo.errors import ConfigError, DataError
from genzoo.spaces.shaped import MAX_VALUES
from genzoo.spaces.space import MAX_COUNT


def check_padding(names: Sequence[str], where: str) -> None:
    """Raise ConfigError if a name is empty that is not the last of several.

    Arguments:
        names: The names of the categories.
        where: The field's name, for the error.
    """
    empty = [index for index, name in enumerate(names) if not name]
    if empty and (empty != [len(names) - 1] or len(names) == 1):
        raise ConfigError(
            f"{where} has an empty name at index {empty[0]} of {shown(list(names))}. One empty "
            "name marks padding, and it must be the last of at least two."
        )


def ended(flat: Tensor, padding: int) -> Tensor:
    """Return rows (B, D) with padding at each place after the first padding."""
    return flat.masked_fill((flat == padding).cumsum(1) > 0, padding)


def fill_missing(flat: Tensor, missing: Tensor, padding: int) -> Tensor:
    """Return rows (B, D) with letters up to the last known one where missing, then padding.

    After padding that is known there is padding, so that a known letter after it is what a check
    finds.

    Arguments:
        flat: Rows (B, D), with any values where one is missing.
        missing: Where a value is missing, (B, D) bool.
        padding: The category that is padding.
    """
    ended = ((flat == padding) & ~missing).cumsum(1) > 0
    letters = (flat != padding) & ~missing
    followed = letters.flip(1).cumsum(1).flip(1) > 0
    fill = torch.where(followed & ~ended, 0, padding).to(flat.dtype)
    return torch.where(missing, fill, flat)


def check_ends(flat: Tensor, padding: int, noun: str) -> None:
    """Raise DataError if a category follows the padding of a row.

    Arguments:
        flat: Rows (B, D) of categories.
        padding: The category that is padding.
        noun: The word for a row in the message.
    """
    stray = flat != ended(flat, padding)
    if not bool(stray.any()):
        return
    row, place = stray.nonzero()[0].tolist()
    end = int((flat[row] == padding).nonzero()[0])
    raise DataError(
        f"{noun} {row} holds {int(flat[row, place])} at place {place}, after its end at place "
        f"{end}. Fill what follows the end with {padding}, as the space's ended(rows) does."
    )


def count(letters: int, num_dims: int) -> int | None:
    """Return Σ_{l=0}^{D} L^l, the number of texts of at most D of L letters.

    It is None if there are more than 2^20 texts, or more than 2^26 values in the list of them.
    """
    # With one letter, the list of D + 1 texts has about D^2 values.
    total = term = 1
    for _ in range(num_dims):
        term *= letters
        total += term
        if total > MAX_COUNT or total * num_dims > MAX_VALUES:
            return None
    return total


def listed(letters: int, num_dims: int) -> Tensor:
    """Return all texts of at most D of L letters, (count, D); the first place varies slowest."""
    found = torch.empty(1, 0, dtype=torch.int64)
    for length in range(1, num_dims + 1):
        first = torch.arange(letters).repeat_interleave(len(found))[:, None]
        longer = torch.cat([first, found.repeat(letters, 1)], 1)
        found = torch.cat([longer, torch.full((1, length), letters)])
    return found


def reference(
    letters: int, num_dims: int, num: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a length l uniformly, then letters: the log-mass is −ln(D + 1) − l ln L."""
    rows = torch.randint(letters, (num, num_dims), generator=generator)
    length = torch.randint(num_dims + 1, (num, 1), generator=generator)
    rows = rows.masked_fill(torch.arange(num_dims) >= length, letters)
    return rows, -math.log(num_dims + 1) - length[:, 0].double() * math.log(letters)
