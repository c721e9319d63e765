"""Labels of any form as class indices: integers, texts, bools, with missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genzoo.config import shown
from genzoo.data.columns.missing import is_missing, missing_in
from genzoo.data.fields import MAX_NAMES
from genzoo.data.labelling import UNKNOWN
from genzoo.data.natural_order import natural_key
from genzoo.errors import DataError, suggest
from genzoo.spaces.space import MAX_COUNT

_NO_NUMBERS = (str, bytes, complex, np.complexfloating)
"""What Python can convert to a float, but not without a change of its meaning."""


@dataclass(frozen=True)
class Classes:
    """The class of each row.

    Arguments:
        index: The index of each, (N,) int64; −1 for a row without a label.
        names: The name of each class; empty if the labels are numbers.
    """

    index: np.ndarray[Any, Any]
    names: tuple[str, ...] = ()

    @property
    def num_without(self) -> int:
        """The number of rows without a label."""
        return int((self.index == UNKNOWN).sum())

    def numbered_as(self, names: Sequence[str], where: str) -> Classes:
        """Return the same labels with the numbers that names have elsewhere.

        Labels that are numbers stay as they are.

        Arguments:
            names: The names of all classes; empty if they are not known.
            where: The column in messages.

        Raises:
            DataError: A class is not among them.
        """
        if not names:
            return self
        if not self.names:
            most = int(self.index.max(initial=UNKNOWN))
            if most >= len(names):
                raise DataError(f"{where} has the class {most}; there are {len(names)} classes.")
            return Classes(self.index, tuple(names))
        unknown = [name for name in self.names if name not in names]
        if unknown:
            raise DataError(f"{where} has an unknown class. {suggest(unknown[0], names)}")
        place = {name: number for number, name in enumerate(names)}
        table = np.array([*(place[name] for name in self.names), UNKNOWN], dtype=np.int64)
        return Classes(table[self.index], tuple(names))


def classes_of(values: Any, where: str, *, names: Sequence[str] = ()) -> Classes:
    """Return labels as class indices.

    Whole numbers are indices, −1 means "without a label". Texts are numbered in natural order, and
    so are bools. A missing value (None, NaN) is a row without a label.

    Arguments:
        values: One label for each row, (N,) or (N, 1).
        where: The column in messages, such as "the column 'kind' of a.csv".
        names: The names of all classes, if they are known; texts are then numbered as they are.

    Raises:
        DataError: They are not labels; the message names the row and the value.
    """
    given = np.asarray(values)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise DataError(
            f"{where} has the shape {given.shape}: one label for each row is needed, such as "
            "argmax(1) of one-hot labels."
        )
    known = ~missing_in(given)
    found = _of_known(given[known], known.nonzero()[0], where)
    index = np.full(len(given), UNKNOWN, dtype=np.int64)
    index[known] = found.index
    return Classes(index, found.names).numbered_as(names, where)


def are_classes(values: Any) -> bool:
    """Whether a column can be labels: whole numbers from −1, texts or bools."""
    try:
        classes_of(values, "")
    except DataError:
        return False
    return True


def are_few_classes(values: Any) -> bool:
    """Whether a column can be labels that a space of classes holds, with short names if any."""
    if not are_classes(values):
        return False
    found = classes_of(values, "")
    if len(found.names) > MAX_NAMES or not all(0 < len(name) <= 256 for name in found.names):
        return False
    return bool((found.index < MAX_COUNT).all())


def texts_among(values: np.ndarray[Any, Any], names: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return numbers as texts if all are among names; texts may look like numbers in one split."""
    texts = as_texts(values)
    return texts if set(texts) - {None} <= set(names) else values


def as_texts(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return values as texts, whole numbers without decimals; missing ones stay missing."""
    found = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        found[place] = None if is_missing(value) else str(int(value)) if whole else text
    return found


def all_names(parts: Sequence[Classes]) -> tuple[str, ...]:
    """Return the names of the classes of several splits, in natural order."""
    return tuple(sorted({name for part in parts for name in part.names}, key=natural_key))


def _of_known(values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], where: str) -> Classes:
    """Return the classes of values of which none is missing; ``rows`` are their places."""
    kind = values.dtype.kind
    kind = _kind_of(values) if kind == "O" else kind
    if kind == "b":
        return Classes(values.astype(np.int64), ("False", "True") if len(values) else ())
    if kind in "US":
        return _of_texts(values)
    if kind not in "iuf":
        values, kind = _as_floats(values, rows, where), "f"
    with np.errstate(invalid="ignore"):
        found = values.astype(np.int64)
    _refuse(values, rows, (found != values) | (found < UNKNOWN), where)
    return Classes(found)


def _kind_of(values: np.ndarray[Any, Any]) -> str:
    """Return the kind that all objects have in common: bools, texts, or something else."""
    if all(isinstance(value, (bool, np.bool_)) for value in values):
        return "b"
    return "U" if all(isinstance(value, (str, bytes)) for value in values) else "O"


def _of_texts(values: np.ndarray[Any, Any]) -> Classes:
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    names = sorted(set(texts), key=natural_key)
    place = {name: number for number, name in enumerate(names)}
    return Classes(np.array([place[text] for text in texts], dtype=np.int64), tuple(names))


def _as_floats(
    values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], where: str
) -> np.ndarray[Any, Any]:
    """Return objects that are numbers as float64."""
    found = np.empty(len(values))
    for place, value in enumerate(values):
        try:
            found[place] = np.nan if isinstance(value, _NO_NUMBERS) else float(value)
        except (TypeError, ValueError, OverflowError):
            found[place] = np.nan
    _refuse(values, rows, ~np.isfinite(found), where)
    return found


def _refuse(
    values: np.ndarray[Any, Any],
    rows: np.ndarray[Any, Any],
    wrong: np.ndarray[Any, Any],
    where: str,
) -> None:
    if not wrong.any():
        return
    first = int(wrong.nonzero()[0][0])
    value = values[first]
    plain = value.item() if isinstance(value, np.generic) else value
    raise DataError(
        f"{where} has {shown(plain)} in row {int(rows[first])}, which is not a label. Labels are "
        "whole numbers from 0, or texts; −1 or nothing stands for a row without one."
    )
