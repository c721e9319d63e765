"""Columns of numbers as the rows of a table, after checks that name the column and the row."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from genzoo.config import shown
from genzoo.data.columns.missing import missing_in
from genzoo.errors import DataError

_MOST_NAMED = 8


def table_of(
    columns: Mapping[str, np.ndarray[Any, Any]], name: str, *, has_label: bool = True
) -> np.ndarray[Any, Any]:
    """Return columns of numbers, (N,) or (N, 1) each, as rows (N, D) of their common dtype.

    Arguments:
        columns: The columns.
        name: The name of the data in messages.
        has_label: Whether another column is the label, so that none of these may be meant.

    Raises:
        DataError: A column has a value that is missing or not a number, which the message names.
    """
    columns = {column: values.reshape(len(values)) for column, values in columns.items()}
    _check_present(columns, name)
    found, wrong = {}, {}
    for column, values in columns.items():
        numbers = _numbers(values)
        if isinstance(numbers, int):
            wrong[column] = numbers
        else:
            found[column] = numbers
    if wrong:
        advice = "" if has_label else _label_advice(columns, wrong)
        raise DataError(_not_numbers(columns, wrong, name) + advice)
    return np.column_stack(list(found.values()))


def leave_out(names: list[str]) -> str:
    """Return how to leave columns out, in Python and on the command line."""
    return f"drop={names!r} (--data.drop {' '.join(map(_in_shell, names))})"


def _in_shell(name: str) -> str:
    """Return the name of a column as an argument of the command line."""
    return name if re.fullmatch(r"[\w.:/-]+", name) else repr(name)


def named(names: list[str]) -> str:
    """Return names of columns for a message; of many, the first ones and their number."""
    quoted = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{quoted} and {more} more" if more > 0 else quoted


def _check_present(columns: Mapping[str, np.ndarray[Any, Any]], name: str) -> None:
    """Raise DataError if a value is missing."""
    holes = {}
    for column, values in columns.items():
        missing = missing_in(values)
        if missing.any():
            holes[column] = missing
    if not holes:
        return
    column, missing = next(iter(holes.items()))
    more = f", and so have {len(holes) - 1} other columns" if len(holes) > 1 else ""
    raise DataError(
        f"The column {column!r} of {name} has no value in row {int(missing.argmax())} "
        f"({int(missing.sum())} of {len(missing)} are missing{more}). Fill them in, or leave out: "
        f"{leave_out(list(holes)[:_MOST_NAMED])}."
    )


def _numbers(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | int:
    """Return a column's numbers, or the row of a value that is not one.

    One value that is not a number can make texts of all; its row is returned.
    """
    if values.dtype.kind in "buif":
        return values
    if values.dtype.kind not in "OU":
        return 0
    found = [_as_float(value) for value in values]
    others = [row for row, number in enumerate(found) if number is None]
    texts = [row for row, value in enumerate(values) if isinstance(value, (str, bytes))]
    wrong = others or texts
    return wrong[0] if wrong else np.array(found, dtype=np.float64)


def _as_float(value: Any) -> float | None:
    """Return a value as a number, also from a text; None if it is not one."""
    if isinstance(value, (complex, np.complexfloating)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) or not isinstance(value, (str, bytes)) else None


def _not_numbers(
    columns: Mapping[str, np.ndarray[Any, Any]], wrong: Mapping[str, int], name: str
) -> str:
    column, row = next(iter(wrong.items()))
    value = columns[column][row]
    plain = value.item() if isinstance(value, np.generic) else value
    several = len(wrong) > 1
    also = f" (and {named(list(wrong)[1:])} too)" if several else ""
    return (
        f"The column {column!r} of {name} holds {shown(plain)} in row {row}{also}: numbers are "
        f"needed. Convert {'them' if several else 'it'}, or leave "
        f"{'them' if several else 'it'} out: {leave_out(list(wrong)[:_MOST_NAMED])}."
    )


def _label_advice(columns: Mapping[str, np.ndarray[Any, Any]], wrong: Mapping[str, int]) -> str:
    """Return how to name the label, if one of the columns without numbers may be meant."""
    texts = [column for column in wrong if all(map(_is_word, columns[column]))]
    if not texts:
        return ""
    flag = f"--data.label-column {_in_shell(texts[0])}"
    return (
        f" Is {texts[0]!r} the label? Give label={texts[0]!r} to as_dataset, or "
        f"label_column={texts[0]!r} to load_dataset ({flag})."
    )


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _as_float(value) is None
