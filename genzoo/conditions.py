"""Conditions by name, one for each row, checked or left out."""

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
    from genzoo.model import Model

Conditions = Mapping[str, Any]
"""Rows by the name of a condition, each in the canonical form of its space."""
NO_CONDITIONS: Conditions = MappingProxyType({})
"""The conditions of an unconditional model."""


def spread(model: Model, condition: Any, num: int) -> dict[str, Any]:
    """Check the conditions of a model and return ``num`` rows of each, on its device.

    A single row of a condition is repeated. A condition that is left out is null if the model
    learned to do without it.

    Arguments:
        model: The model.
        condition: A mapping by name; for a model with one condition also its value; or None.
        num: The number of rows.

    Raises:
        ConditionError: A condition is missing, superfluous, unknown or not in its space, or does
            not have ``num`` rows.
    """
    found = {}
    for name, rows in spread_later(model, condition, num).items():
        length = rows.shape[0] if isinstance(rows, Tensor) else len(rows)  # See `Space.require`.
        one = length == 1 != num
        space = model.conditions[name]
        found[name] = space.repeat(space.take(rows, [0])[0], num) if one else rows
    return found


def spread_later(model: Model, condition: Any, num: int, *, runs: bool = False) -> dict[str, Any]:
    """Check the conditions of a model and return their rows on its device, for `rows_at`.

    A condition that all ``num`` rows share has one row, so that many rows take no memory.

    Arguments:
        model: The model.
        condition: As for `spread`.
        num: The number of rows.
        runs: Whether k given rows may stand for ``num / k`` successive rows each.

    Raises:
        ConditionError: As for `spread`.
    """
    given, who = _by_name(model, condition), type(model).__name__
    found = {}
    for name, space in model.conditions.items():
        if name in given:
            found[name] = _rows(model, name, space, given[name], num, runs=runs)
        elif not model.takes_null or space.null is None:
            form = "..." if len(model.conditions) == 1 else f"{{{name!r}: ...}}"
            raise ConditionError(
                f"{who} needs a {name} for each sample. Give condition={form}, or "
                f"{flag_of(name)} in a shell."
            )
        else:
            found[name] = _nulls(space, 1, model)
    return found


def rows_at(
    conditions: Conditions, spaces: Mapping[str, Space], index: Tensor, num: int
) -> dict[str, Any]:
    """Return the conditions of some of ``num`` rows, from those of `spread_later`."""
    return {
        name: spaces[name].take(values, index // (num // len(values)))
        for name, values in conditions.items()
    }


def _nulls(space: Space, num: int, model: Model) -> Any:
    """Return ``num`` rows that mean "not given", on the model's device."""
    null = space.null
    return space.place(space.repeat(null, num), model.device, model.dtype)


def null_conditions(model: Model, num: int) -> dict[str, Any]:
    """Return ``num`` null rows of each condition.

    Raises:
        ConditionError: The model did not learn to do without its conditions.
    """
    if not model.conditions:
        raise ConditionError(
            f"{type(model).__name__} is unconditional, so it cannot be guided. Leave "
            "the guidance out."
        )
    if not model.takes_null:
        raise ConditionError(
            f"{type(model).__name__} was trained with its conditions only, and cannot do without "
            "them. Train it with condition_dropout above 0, such as 0.1."
        )
    return {name: _nulls(space, num, model) for name, space in model.conditions.items()}


def drop_conditions(
    conditions: Conditions,
    spaces: Mapping[str, Space],
    generator: torch.Generator,
    *,
    together: float,
    each: float = 0.0,
) -> dict[str, Any]:
    """Replace some conditions by null, for classifier-free guidance.

    | Classifier-Free Diffusion Guidance (Ho, Salimans, 2022)

    Arguments:
        conditions: Rows by name.
        spaces: The space of each.
        generator: The generator of the choice, on the rows' device.
        together: The probability that all conditions of a row are dropped.
        each: The probability that a condition is dropped, independently of the others.
    """
    num = len(next(iter(conditions.values()), ()))
    chosen = dropped_rows(conditions, num, generator, together=together, each=each)
    return {
        name: spaces[name].with_null(values, chosen[name]) if name in chosen else values
        for name, values in conditions.items()
    }


def dropped_rows(
    names: Collection[str],
    num: int,
    generator: torch.Generator,
    *,
    together: float,
    each: float = 0.0,
) -> dict[str, Tensor]:
    """Return which rows `drop_conditions` drops, a mask (num,) for each condition by name.

    It is empty if none is dropped. The masks are on the generator's device; the probabilities are
    those of `drop_conditions`.
    """
    if not names or not (together or each):
        return {}
    all_of_them = _chosen(num, together, generator)
    return {
        name: all_of_them | _chosen(num, each, generator) if each else all_of_them
        for name in names
    }


def condition_rows(
    conditions: Conditions, spaces: Mapping[str, Space], index: Any
) -> dict[str, Any]:
    """Return some rows of each condition, by their indices or a slice."""
    if isinstance(index, slice):
        return {name: values[index] for name, values in conditions.items()}
    return {name: spaces[name].take(values, index) for name, values in conditions.items()}


def _chosen(num: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(num, generator=generator, device=generator.device) < share


def _by_name(model: Model, condition: Any) -> Mapping[str, Any]:
    """Return the given conditions by name, without those that are None."""
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


def _rows(model: Model, name: str, space: Space, given: Any, num: int, *, runs: bool) -> Any:
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
    found = rows.shape[0] if isinstance(rows, Tensor) else len(rows)  # See `Space.require`.
    fits = found == num or (runs and found and num % found == 0)
    if not one and not fits:
        raise ConditionError(f"{num} samples need {num} conditions, got {found} of {name}.")
    return space.place(rows, model.device, model.dtype)


def _refuse_nulls(space: Space, rows: Any, who: str, name: str) -> None:
    """Raise ConditionError if rows are null but the model did not learn from such rows."""
    if space.null is None or is_trusted():
        return
    missing = space.is_null(rows)
    if num := int(missing.sum()):
        raise ConditionError(
            f"{who} needs a {name} for each row; {num} of {len(rows)} have none, the first is row "
            f"{int(missing.nonzero()[0])}. Leave them out, or train the model with "
            "condition_dropout above 0."
        )


def flag_of(name: str) -> str:
    """Return the command-line flag of a condition."""
    return f"--{name}" if name in ("label", "text") else f"--condition.{name}"


def _short(condition: Any) -> str:
    if isinstance(condition, Tensor):
        return f"a tensor of shape {tuple(condition.shape)}"
    return reprlib.repr(condition)
