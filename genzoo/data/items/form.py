"""The form of the items of a map-style dataset: where x, the label and the text are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from genzoo.config import shown
from genzoo.data.columns.column import ColumnNames, as_numpy
from genzoo.data.columns.features import named
from genzoo.data.columns.missing import is_missing
from genzoo.data.columns.roles import LABEL_NAMES, TEXT_NAMES, X_NAMES, first_of
from genzoo.data.labelling import UNKNOWN
from genzoo.errors import DataError, suggest


@dataclass(frozen=True)
class ItemForm:
    """Where the parts of an item are: keys of a mapping, or places of a tuple.

    Arguments:
        x: The key of x; several are single numbers; none if the item is x itself.
        label: The key of the label, if any.
        text: The key of the caption, if any.
        notes: What was inferred or left out.
    """

    x: tuple[Any, ...] = ()
    label: Any = None
    text: Any = None
    notes: tuple[str, ...] = ()

    def x_in(self, item: Any) -> Any:
        """Return x of an item: an image of Pillow, or an array."""
        if not self.x:
            return as_value(item)
        if len(self.x) == 1:
            return as_value(item[self.x[0]])
        return np.array([as_value(item[key]) for key in self.x])

    def label_in(self, item: Any) -> int:
        """Return the class index of an item; −1 if it has no label.

        Raises:
            DataError: The label is not a whole number.
        """
        return label_index(item[self.label])

    def text_in(self, item: Any) -> str:
        """Return the caption of an item; the empty text if it has none."""
        value = item[self.text]
        return "" if is_missing(value) else str(value)


def as_value(value: Any) -> Any:
    """Return an image of Pillow as it is, and other values as an array.

    Raises:
        DataError: It is not an array of numbers.
    """
    if isinstance(value, Image.Image):
        return value
    array = as_numpy(value) if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "buifc":
        raise DataError(f"holds {shown(value)}: numbers or an image are needed.")
    return array


def label_index(value: Any) -> int:
    """Return a label as a class index; −1 for a missing one.

    Raises:
        DataError: It is not a whole number from −1.
    """
    if is_missing(value):
        return UNKNOWN
    try:
        number = float(value) if not isinstance(value, (str, bytes)) else np.nan
    except (TypeError, ValueError, RuntimeError):
        number = np.nan
    if number != np.round(number) or number < UNKNOWN or np.isinf(number):
        raise DataError(
            f"has the label {shown(value)}, which is not a class index from 0. Give the labels of "
            "all rows: as_dataset(data, label=[...])."
        )
    return int(number)


def form_of(item: Any, chosen: ColumnNames) -> ItemForm:
    """Return the form of items from the first one.

    Arguments:
        item: The first item: x, a tuple of x and a label, or a mapping.
        chosen: The keys that the holder names.

    Raises:
        DataError: There is no x in it, or a key that was named is missing.
    """
    if isinstance(item, Mapping):
        return _of_mapping(item, chosen)
    if isinstance(item, (tuple, list)) and any(_is_rows(part) for part in item):
        return _of_tuple(item)
    return ItemForm()


def _of_mapping(item: Mapping[Any, Any], chosen: ColumnNames) -> ItemForm:
    keys = {str(key): key for key in item}
    for given in (chosen.label, chosen.text, *chosen.drop):
        if given and given not in keys:
            raise DataError(f"has no {given!r}. {suggest(given, keys)}")
    kept = {name: item[key] for name, key in keys.items() if name not in chosen.drop}
    label = chosen.label if chosen.label is not None else first_of(kept, LABEL_NAMES)
    texts = [name for name, value in kept.items() if isinstance(value, str)]
    text = chosen.text if chosen.text is not None else first_of(texts, TEXT_NAMES)
    others = {name: v for name, v in kept.items() if name not in (label, text)}
    rows = [name for name, value in others.items() if _is_rows(value)]
    found = first_of(rows, X_NAMES) or (rows[0] if len(rows) == 1 else None)
    if rows and found is None:
        raise DataError(
            f"has rows of values in {named(rows)}: name the one to be modelled x, or leave others "
            f"out: drop={rows[1:]!r}."
        )
    x = [found] if found else [name for name, value in others.items() if _is_number(value)]
    if not x:
        raise DataError(f"has no numbers and no image to model, only {named(list(kept))}.")
    left = [name for name in others if name not in x]
    return ItemForm(
        tuple(keys[name] for name in x),
        keys[label] if label else None,
        keys[text] if text else None,
        (f"{named(left)} of each item {_are(left)} left out.",) if left else (),
    )


def _of_tuple(item: Sequence[Any]) -> ItemForm:
    """Return the form of a tuple: x, and the label or the caption that follows it."""
    x = next(place for place, part in enumerate(item) if _is_rows(part))
    later = range(x + 1, len(item))
    label = next((place for place in later if _is_label(item[place])), None)
    text = next((place for place in later if isinstance(item[place], str)), None)
    left = [str(place) for place in range(len(item)) if place not in (x, label, text)]
    notes = [f"item[{text}] of each row is the text."] if text is not None else []
    if left:
        notes.append(f"item[{', '.join(left)}] of each row {_are(left)} left out.")
    return ItemForm((x,), label, text, tuple(notes))


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _is_rows(value: Any) -> bool:
    """Whether a part of an item is an image or an array."""
    if isinstance(value, Image.Image):
        return True
    if isinstance(value, (str, bytes, Mapping)) or value is None:
        return False
    return len(np.shape(value)) > 0 if not isinstance(value, Tensor) else value.ndim > 0


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and np.asarray(value).dtype.kind in "buif"


def _is_label(value: Any) -> bool:
    """Whether a part of an item is a class index, or None for a row without a label."""
    if value is None:
        return True
    if isinstance(value, (str, bytes, Mapping, list, tuple)):
        return False
    try:
        label_index(value)
    except DataError:
        return False
    return True
