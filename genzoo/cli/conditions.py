"""Conditions on the command line: texts by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genzoo.conditions import spread
from genzoo.errors import ConditionError
from genzoo.model import Model
from genzoo.showing import is_image


def takes_images(model: Model) -> bool:
    """Whether a condition is an image, which has no form on the command line."""
    return any(is_image(space) for space in model.conditions.values())


def given_by(arguments: Any) -> dict[str, tuple[str, ...]]:
    """Return the texts of each condition by name.

    Raises:
        ConditionError: A condition is given without a value, or in two ways.
    """
    found: dict[str, list[str]] = {}
    for text in arguments.condition:
        name, joined, value = text.partition("=")
        if not joined:
            raise ConditionError(f"--condition.{name} needs a value: --condition.{name} VALUE.")
        found.setdefault(name.replace("-", "_"), []).append(value)
    for name in ("label", "text"):
        if values := getattr(arguments, name):
            if name in found:
                raise ConditionError(f"Give --{name} or --condition.{name}, not both.")
            found[name] = list(values)
    return {name: tuple(values) for name, values in found.items()}


def rows_given(model: Model, given: Mapping[str, Sequence[str]], num: int) -> dict[str, Any]:
    """Return ``num`` rows of each condition: each of k texts gets num / k samples, in order.

    Raises:
        ConditionError: As for `texts_given`.
    """
    rows = {}
    for name, few in texts_given(model, given, num).items():
        repeats = num // len(few)
        index = torch.arange(num) // repeats
        rows[name] = model.conditions[name].take(few, index)
    return spread(model, rows, num)


def texts_given(model: Model, given: Mapping[str, Sequence[str]], num: int) -> dict[str, Any]:
    """Return a row of each condition for each of its texts, of which each gets an equal number.

    Raises:
        ConditionError: A condition is unknown, missing or invalid, or the samples cannot be
            divided equally.
    """
    for name, texts in given.items():
        if not model.conditions:
            spread(model, texts[0], num)  # It says that there are none.
        if name not in model.conditions:
            known = ", ".join(model.conditions)
            raise ConditionError(
                f"{type(model).__name__} has no condition {name!r}. It has: {known}."
            )
    several = {len(texts) for texts in given.values() if len(texts) > 1}
    if len(several) > 1:
        counts = ", ".join(f"{len(texts)} of {name}" for name, texts in given.items())
        raise ConditionError(f"Give one value of each condition, or equally many; got {counts}.")
    runs = several.pop() if several else 1
    if num % runs:
        raise ConditionError(
            f"{num} samples cannot be divided among {runs} conditions. Make --num a multiple "
            f"of {runs}."
        )
    rows = {}
    for name, texts in given.items():
        space = model.conditions[name]
        rows[name] = space.collate([space.parse(text) for text in texts])
    return rows


def titles_of(given: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the titles of the rows of a picture: the texts of their conditions."""
    num = max((len(texts) for texts in given.values()), default=0)
    several = [texts for texts in given.values() if len(texts) == num]
    return [", ".join(row) for row in zip(*several, strict=True)]
