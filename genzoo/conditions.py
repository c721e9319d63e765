"""The conditions that a model is given: by name, one for each row, checked or left out."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.config import shown
from genzoo.errors import ConditionError, DataError, suggest
from genzoo.spaces import Space
from genzoo.values import is_trusted

if TYPE_CHECKING:
    from genzoo.model import GenerativeModel

__all__ = [
    "NONE",
    "Conditions",
    "all_null",
    "drop",
    "dropped",
    "nulls",
    "rows_of",
    "spread",
]

Conditions = Mapping[str, Any]
"""Rows by the name of a condition, each in the canonical form of its space."""
NONE: Conditions = MappingProxyType({})
"""What a model without conditions is given."""


def spread(model: GenerativeModel, condition: Any, num: int) -> dict[str, Any]:
    """Return ``num`` rows of each condition of a model, on its device, after a check of them.

    One row of a condition serves all. A condition that is left out is null, where the model has
    learned to do without.

    Arguments:
        model: The model.
        condition: A mapping by name; for a model of one condition also that condition itself;
            None for nothing.
        num: How many rows.

    Raises:
        ConditionError: One is missing, superfluous, unknown or not in its space, or there are not
            ``num`` rows of it.
    """
    given, who = _by_name(model, condition), type(model).__name__
    found = {}
    for name, space in model.conditions.items():
        if name in given:
            found[name] = _rows(model, name, space, given[name], num)
        elif not model.takes_null or space.null is None:
            raise ConditionError(
                f"{who} needs a {name} for each sample. Give condition={_form(model, name)}, or "
                f"{flag_of(name)} in a shell."
            )
        else:
            found[name] = nulls(space, num, model)
    return found


def nulls(space: Space, num: int, model: GenerativeModel) -> Any:
    """Return ``num`` rows that stand for "not given", on the model's device."""
    null = space.null
    return space.place(space.repeat(null, num), model.device, model.dtype)


def all_null(model: GenerativeModel, num: int) -> dict[str, Any]:
    """Return ``num`` rows of each condition, none of which is given.

    Raises:
        ConditionError: The model has not learned to do without its conditions.
    """
    if not model.conditions:
        raise ConditionError(
            f"{type(model).__name__} takes no condition, so there is none to do without. Leave "
            "the guidance out."
        )
    if not model.takes_null:
        raise ConditionError(
            f"{type(model).__name__} has learned with its conditions alone, and cannot do without "
            "them. Train it with condition_dropout above 0, such as 0.1."
        )
    return {name: nulls(space, num, model) for name, space in model.conditions.items()}


def drop(
    conditions: Conditions,
    spaces: Mapping[str, Space],
    generator: torch.Generator,
    *,
    together: float,
    each: float = 0.0,
) -> dict[str, Any]:
    """Return conditions some of which are null: what guidance without a classifier learns from.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022)

    Arguments:
        conditions: Rows by name.
        spaces: The space of each.
        generator: Where the choice comes from, on the rows' device.
        together: The probability that all conditions of a row are dropped.
        each: The probability of each condition that it is dropped, independent of the others.
    """
    num = len(next(iter(conditions.values()), ()))
    chosen = dropped(conditions, num, generator, together=together, each=each)
    return {
        name: spaces[name].with_null(values, chosen[name]) if name in chosen else values
        for name, values in conditions.items()
    }


def dropped(
    names: Collection[str],
    num: int,
    generator: torch.Generator,
    *,
    together: float,
    each: float = 0.0,
) -> dict[str, Tensor]:
    """Return which of ``num`` rows of each condition `drop` drops, (num,) bool, by name.

    It is empty where none is dropped.

    Arguments:
        names: Those of the conditions.
        num: How many rows.
        generator: Where the choice comes from, on whose device it is returned.
        together: The probability that all conditions of a row are dropped.
        each: The probability of each condition that it is dropped, independent of the others.
    """
    if not names or not (together or each):
        return {}
    all_of_them = _chosen(num, together, generator)
    return {
        name: all_of_them | _chosen(num, each, generator) if each else all_of_them
        for name in names
    }


def rows_of(conditions: Conditions, spaces: Mapping[str, Space], index: Any) -> dict[str, Any]:
    """Return some rows of each condition, by their numbers or a slice."""
    if isinstance(index, slice):
        return {name: values[index] for name, values in conditions.items()}
    return {name: spaces[name].take(values, index) for name, values in conditions.items()}


def _chosen(num: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(num, generator=generator, device=generator.device) < share


def _by_name(model: GenerativeModel, condition: Any) -> Mapping[str, Any]:
    """Return what is given by name; None among it is left out."""
    names, who = list(model.conditions), type(model).__name__
    if condition is None:
        return {}
    if not names and not (isinstance(condition, Mapping) and not condition):
        raise ConditionError(f"{who} takes no condition, got {_short(condition)}. Leave it out.")
    if not isinstance(condition, Mapping):
        if len(names) > 1:
            raise ConditionError(
                f"{who} has the conditions {', '.join(names)}. Name what is given: "
                f"condition={{{names[0]!r}: …}}; got {_short(condition)}."
            )
        return {names[0]: condition}
    for name in condition:
        if name not in names:
            raise ConditionError(
                f"{who} has no condition {shown(name)}. {suggest(str(name), names)}"
            )
    return {name: value for name, value in condition.items() if value is not None}


def _rows(model: GenerativeModel, name: str, space: Space, given: Any, num: int) -> Any:
    who = type(model).__name__
    try:
        values = space.cast(given)
        one = space.is_one(values)
        rows = space.collate([values]) if one else values
    except DataError as error:
        raise ConditionError(f"{who} takes a {name} for each sample. {error}") from error
    space.nullable(rows, who, noun=name, error=ConditionError)
    if not model.takes_null:
        _refuse_nulls(space, rows, who, name)
    if not one and len(rows) != num:
        raise ConditionError(f"{num} samples need {num} conditions, got {len(rows)} of {name}.")
    rows = space.place(rows, model.device, model.dtype)
    return space.repeat(space.take(rows, [0])[0], num) if one else rows


def _refuse_nulls(space: Space, rows: Any, who: str, name: str) -> None:
    """Raise ConditionError where rows are null, of a model that has not learned from such."""
    if space.null is None or is_trusted():
        return
    missing = space.is_null(rows)
    if num := int(missing.sum()):
        raise ConditionError(
            f"{who} needs a {name} for each row; {num} of {len(rows)} have none, the first is row "
            f"{int(missing.nonzero()[0])}. Leave them out, or train the model with "
            "condition_dropout above 0."
        )


def _form(model: GenerativeModel, name: str) -> str:
    return "..." if len(model.conditions) == 1 else f"{{{name!r}: ...}}"


def flag_of(name: str) -> str:
    """Return the flag of the command line that gives a condition."""
    return f"--{name}" if name in ("label", "text") else f"--condition.{name}"


def _short(condition: Any) -> str:
    if isinstance(condition, Tensor):
        return f"a tensor of shape {tuple(condition.shape)}"
    return reprlib.repr(condition)
