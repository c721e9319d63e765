"""Orders: in which the places of a row are modelled, each given those before it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from genzoo.plugin import ConfigError

MAX_PLACES = 2**16
"""The maximum number of places: each is a step of a sample."""


def raster(shape: Sequence[int]) -> list[int]:
    """Return the places of a row as they are read: an image (C, H, W) pixel by pixel.

    The channels of a pixel follow each other, so that the pixels above and to the left are known.

    >>> raster((2, 1, 2))
    [0, 2, 1, 3]
    """
    size = num_places(shape)
    if len(shape) != 3:
        return list(range(size))
    pixels = shape[1] * shape[2]
    return [channel * pixels + pixel for pixel in range(pixels) for channel in range(shape[0])]


def shuffled(num: int, seed: int) -> list[int]:
    """Return 0 to ``num`` − 1 in a random order.

    It depends on the seed alone: stored models have their orders in their configs as seeds.
    Python guarantees the numbers of ``random.random`` for a seed, and not those of ``shuffle``.
    """
    draws = random.Random(seed)
    keys = [draws.random() for _ in range(num)]
    return sorted(range(num), key=keys.__getitem__)


def more_orders(num_places: int, num: int, seed: int) -> list[list[int]]:
    """Return the random orders of an ensemble of ``num`` orders, after its first one."""
    # Not the seeds of single orders: an ensemble must not have its first order twice.
    return [shuffled(num_places, (seed + 1) * 2**20 + index) for index in range(1, num)]


def order_of(shape: Sequence[int], name: str, seed: int, permutation: Sequence[int]) -> list[int]:
    """Return the places in the order of a config: a permutation of 0 to D − 1.

    Arguments:
        shape: The shape of a row.
        name: "raster" or "random".
        seed: The seed of a random order.
        permutation: An explicit order, if it is not empty.
    """
    if permutation:
        return list(permutation)
    return raster(shape) if name == "raster" else shuffled(num_places(shape), seed)


def check_num_places(who: str, num: int) -> None:
    """Raise ConfigError if a row has more places than a model can draw one after another."""
    if num > MAX_PLACES:
        raise ConfigError(
            f"{who} models one place after another, at most {MAX_PLACES:,} of them; a row has "
            f"{num:,}. Give smaller rows."
        )


def check_permutation(who: str, num: int, name: str, permutation: Sequence[int]) -> None:
    """Raise ConfigError if a permutation is not one of ``num`` places; empty for none."""
    if not permutation:
        return
    if name != "raster":
        raise ConfigError(f"{who} has order={name!r} and a permutation. Give one of them.")
    wrong = _fault(permutation, num)
    if wrong:
        raise ConfigError(
            f"{who}.permutation must have each of the places 0 to {num - 1} once; {wrong}."
        )


def _fault(permutation: Sequence[int], num: int) -> str:
    """Return what keeps numbers from being a permutation of 0 to ``num`` − 1; empty if nothing."""
    outside = next((place for place in permutation if place >= num), None)
    if outside is not None:
        return f"{outside} is not one of them"
    place, times = Counter(permutation).most_common(1)[0]
    if times > 1:
        return f"{place} comes {times} times"
    return "" if len(permutation) == num else f"{num - len(permutation)} are missing"


def num_places(shape: Sequence[int]) -> int:
    """Return D, the number of values of a row."""
    size = 1
    for length in shape:
        size *= length
    return size
