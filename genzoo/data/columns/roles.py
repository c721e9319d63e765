"""The roles of columns: x, the label, the text, further fields, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genzoo.data.columns.classes import are_classes, are_few_classes
from genzoo.data.columns.column import ColumnNames, Columns
from genzoo.data.columns.features import leave_out, named
from genzoo.data.columns.missing import is_missing
from genzoo.errors import DataError, counted, suggest
from genzoo.spec import FIELD

X_NAMES = ("x", "data", "images", "image", "pixel_values")
LABEL_NAMES = ("label", "labels", "target", "targets", "class", "y")
TEXT_NAMES = ("text", "caption", "captions")
"""The names of columns with these roles, in any letter case; the first that occurs counts."""
_CERTAIN = ("label", "labels")
_TAKEN = ("x", "y", "label", "text", "y_label", "y_text")
_LEAST_COUNTED = 10
"""The least number of rows for which a column of 0, 1, 2, … is taken to number them."""


@dataclass(frozen=True)
class Roles:
    """The roles of columns.

    Arguments:
        x: The column of x; several are the numbers of a table.
        is_table: Whether the columns of x are single values.
        label: The column of labels, if any.
        text: The column of captions, if any.
        fields: The columns of further fields.
        notes: What was inferred or left out.
    """

    x: tuple[str, ...]
    is_table: bool
    label: str | None
    text: str | None
    fields: tuple[str, ...]
    notes: tuple[str, ...]


def roles_of(columns: Columns, chosen: ColumnNames, name: str) -> Roles:
    """Return the roles of columns.

    A column with one of the `X_NAMES` that has rows, or the only one that has rows, is x. Without
    such a column, all columns of single values are x: a table.

    Arguments:
        columns: The columns.
        chosen: The columns that their holder names.
        name: The name of the data in messages.

    Raises:
        DataError: A column that was named is not there, or it is not clear which one is x.
    """
    for given in (chosen.label, chosen.text, *chosen.drop):
        _check_known(given, columns, name)
    columns = columns.without(chosen.drop)
    array = _array_of(columns.values, chosen, name)
    num = len(columns.values[array] if array else next(iter(columns.values.values()), ()))
    values = {key: v for key, v in columns.values.items() if len(v) == num}
    label, text = _label_of(values, chosen, array), _text_of(values, chosen)
    if label is None and chosen.label is None:
        _refuse_short(columns, num, name)
    others = {key: v for key, v in values.items() if key not in (array, label, text)}
    x = (array,) if array else tuple(key for key, v in others.items() if _is_single(v))
    if not x:
        rest = f" besides {named(list(columns.values))}" if columns.values else ""
        raise DataError(f"{name} has no column to model{rest}. At least one of numbers is needed.")
    fields = tuple(key for key, v in others.items() if array and _is_field(key, v))
    used = {*x, *fields, label, text}
    left = [*columns.left_out, *(key for key in columns.values if key not in used)]
    notes = () if array else _on_table(values, x, label, text, chosen)
    return Roles(x, not array, label, text, fields, (*notes, *_on_left_out(left, num)))


def _refuse_short(columns: Columns, num: int, name: str) -> None:
    """Raise DataError if a column with the name of labels has more or fewer values than rows."""
    found = first_of([key for key, v in columns.values.items() if len(v) != num], LABEL_NAMES)
    if found is not None:
        raise DataError(
            f"{name} has {counted(num, 'row')}, and its column {found!r} has "
            f"{len(columns.values[found])} values. Give one for each row, or leave "
            f"it out: {leave_out([found])}."
        )


def roles_like(columns: Columns, first: Roles, name: str) -> Roles:
    """Return the roles of the columns of another split, which are those of the first split.

    It may lack the label, the text and further fields, as a test set without answers does.

    Raises:
        DataError: It lacks a column of x.
    """
    known = columns.values
    lacking = [column for column in first.x if column not in known]
    if lacking:
        raise DataError(
            f"{name} lacks the columns {named(lacking)}, which the first split has. Add them, or "
            f"leave them out everywhere: {leave_out(lacking)}."
        )
    used = {*first.x, *first.fields, first.label, first.text}
    left = [column for column in known if column not in used]
    return Roles(
        first.x,
        first.is_table,
        first.label if first.label in known else None,
        first.text if first.text in known else None,
        tuple(column for column in first.fields if column in known),
        _said(left, "the first split has no such column") if left else (),
    )


def _check_known(given: str | None, columns: Columns, name: str) -> None:
    if given and given not in columns.values:
        raise DataError(f"{name} has no column {given!r}. {suggest(given, columns.values)}")


def _array_of(values: Mapping[str, Any], chosen: ColumnNames, name: str) -> str | None:
    """Return the column whose values are rows; None for a table of single values."""
    rows = [
        key
        for key, v in values.items()
        if not _is_single(v) and key != chosen.label and key.lower() not in LABEL_NAMES
    ]
    found = first_of(rows, X_NAMES) or (rows[0] if len(rows) == 1 else None)
    if rows and found is None:
        raise DataError(
            f"{name} has rows of values in the columns {named(rows)}: it is not clear which are "
            f"to be modelled. Name one of them x, or leave others out: {leave_out(rows[1:])}."
        )
    return found


def _label_of(values: Mapping[str, Any], chosen: ColumnNames, array: str | None) -> str | None:
    """Return the column of labels: the one that was named, or else by its name.

    A column such as y or target may hold numbers that are not classes; those called label are
    labels, so that a wrong value is an error.
    """
    if chosen.label is not None:
        return chosen.label or None
    found = first_of([key for key in values if key != array], LABEL_NAMES)
    if found is None or found.lower() in _CERTAIN or are_classes(values[found]):
        return found
    return None


def _text_of(values: Mapping[str, Any], chosen: ColumnNames) -> str | None:
    """Return the column of captions: the one that was named, or else by its name."""
    if chosen.text is not None:
        return chosen.text or None
    return first_of([key for key, v in values.items() if _are_texts(v)], TEXT_NAMES)


def first_of(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    """Return the name that comes first in ``wanted``, in any letter case."""
    known = {name.lower(): name for name in names}
    return next((known[name] for name in wanted if name in known), None)


def _is_single(values: Any) -> bool:
    """Whether each value is a single one, (N,) or (N, 1)."""
    return values.ndim == 1 or tuple(values.shape[1:]) == (1,)


def _are_texts(values: Any) -> bool:
    if values.ndim != 1 or values.dtype.kind not in "UO":
        return False
    return all(isinstance(value, str) or is_missing(value) for value in values)


def _is_field(name: str, values: Any) -> bool:
    """Whether a column can be a further field: one value for each row, with a field's name."""
    if not FIELD.fullmatch(name) or name in _TAKEN or not _is_single(values):
        return False
    numbers = values.dtype.kind == "f" and bool(np.isfinite(values).all())
    return are_few_classes(values) or (numbers and not are_classes(values))


def _on_left_out(left: list[str], num: int) -> tuple[str, ...]:
    if not left:
        return ()
    reason = f"a further field has a class or a number for each of {num} rows, and a plain name"
    return _said(left, reason)


def _said(left: list[str], reason: str) -> tuple[str, ...]:
    return (f"{named(left)} {'is' if len(left) == 1 else 'are'} left out: {reason}.",)


def _on_table(
    values: Mapping[str, Any],
    x: Sequence[str],
    label: str | None,
    text: str | None,
    chosen: ColumnNames,
) -> Iterator[str]:
    """Yield what is said of the columns of a table."""
    if label and chosen.label is None:
        yield f"the column {label!r} is the label."
    if text and chosen.text is None:
        yield f"the column {text!r} is the text."
    for column in x:
        if label is None and column.lower() in LABEL_NAMES and chosen.label is None:
            yield f"the column {column!r} holds numbers that are not classes, so it is part of x."
        if _counts(values[column]):
            yield (
                f"the column {column!r} numbers the rows. It is part of x unless you leave it "
                f"out: {leave_out([column])}."
            )


def _counts(values: Any) -> bool:
    """Whether a column is 0, 1, 2, … or 1, 2, 3, …."""
    if len(values) < _LEAST_COUNTED or values.ndim != 1 or values.dtype.kind not in "iu":
        return False
    return values[0] in (0, 1) and bool((np.diff(values) == 1).all())
