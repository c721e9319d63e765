"""Datasets from what people hold: arrays, tables, mappings, and datasets of other packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import Dataset as TorchDataset, IterableDataset

from genzoo.config import shown
from genzoo.data.arrays.from_array import from_array
from genzoo.data.columns.classes import classes_of
from genzoo.data.columns.column import ColumnNames, Columns, as_column, columns_of
from genzoo.data.columns.features import named
from genzoo.data.columns.from_columns import Kind, from_columns
from genzoo.data.columns.label_notes import on_labels
from genzoo.data.columns.roles import LABEL_NAMES, X_NAMES, first_of, roles_of
from genzoo.data.dataset import Dataset
from genzoo.data.forms import (
    are_items,
    are_labels,
    are_records,
    are_splits,
    has_images,
    has_length,
    is_array,
    is_flat_pair,
    is_map_style,
    is_pair,
    is_structured,
)
from genzoo.data.hub.rows import dataset_of_rows, is_hf
from genzoo.data.items.rows import ItemRows
from genzoo.data.items.torch_parts import is_loader, loaded_part, tensors_of
from genzoo.data.split_names import split_of
from genzoo.data.tables.frames import check_index, columns_of_frame, is_frame
from genzoo.errors import ConfigError, DataError, counted


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the holder says of their data.

    Arguments:
        chosen: The columns that they name.
        kind: What is known of the values of x.
        label: The label of every row, if it is given by itself.
        text: The caption of every row, likewise.
        name: The dataset's name.
    """

    chosen: ColumnNames
    kind: Kind
    label: Any = None
    text: Sequence[str] | None = None
    name: str = ""


def held_with(
    *,
    label: Any,
    drop: str | Sequence[str],
    text: Any,
    kind: Kind,
    name: str | None,
) -> Held:
    """Return what is said of data; a text names a column, other values are labels or captions."""
    columns = {
        key: str(value) if isinstance(value, (str, int)) else None
        for key, value in (("label", label), ("text", text))
    }
    dropped = (drop,) if isinstance(drop, str) else tuple(map(str, drop))
    return Held(
        chosen=ColumnNames(**columns, drop=dropped),
        kind=kind,
        label=None if columns["label"] is not None else label,
        text=None if columns["text"] is not None else text,
        name=name or "",
    )


def dataset_of(data: Any, held: Held) -> Dataset:
    """Return what somebody holds as a dataset.

    Arguments:
        data: An array, a table, a mapping of columns, a pair of x and labels, a dataset or a
            loader of torch, or a dataset of the package `datasets`.
        held: What its holder says.

    Raises:
        ConfigError: A column is named for data without columns.
        DataError: It is none of these, or its values are refused.
    """
    for fits, read in _READERS:
        if fits(data):
            return read(data, held)
    raise DataError(
        f"{_kind_of(data)} is not a dataset. Give an array, a table, (X, y), a dictionary of "
        "columns, or a dataset with a length and items by index."
    )


def _of_array(data: Any, held: Held) -> Dataset:
    _refuse_columns(data, held)
    name = held.name or "the given array"
    kind, x = held.kind, as_column(data) if isinstance(data, (list, tuple)) else None
    label = None
    if held.label is not None:
        label = classes_of(held.label, f"The label of {name}", names=kind.label_names)
    # Rows of several lengths are refused by from_array, which says so.
    found = from_array(
        data if x is None or x.dtype.kind == "O" else x,
        name,
        label=None if label is None else label.index,
        label_names=() if label is None else label.names,
        text=held.text,
        space=kind.space,
        scale=kind.scale,
        like=kind.like,
    )
    found.notes = (*found.notes, *(on_labels(label) if label else ()))
    return found


def _of_columns(columns: Columns, held: Held, name: str) -> Dataset:
    columns, held = _with_given(columns, held, name)
    return from_columns(columns, roles_of(columns, held.chosen, name), held.kind, name)


def _with_given(columns: Columns, held: Held, name: str) -> tuple[Columns, Held]:
    """Add labels and captions that are given by themselves as columns."""
    num = max((len(values) for values in columns.values.values()), default=0)
    values = dict(columns.values)
    names = {"label": held.chosen.label, "text": held.chosen.text}
    for role, value in (("label", held.label), ("text", held.text)):
        if value is None:
            continue
        given = as_column(value)
        if given is None:
            raise DataError(f"A list of one {role} for each row is needed; got {shown(value)}.")
        if len(given) != num:
            raise DataError(
                f"{name} has {counted(num, 'row')}, and {len(given)} values are given as {role}."
            )
        names[role] = role if role not in values else f"given {role}"
        values[str(names[role])] = given
    chosen = replace(held.chosen, label=names["label"], text=names["text"])
    return replace(columns, values=values), replace(held, chosen=chosen)


def _of_frame(data: Any, held: Held) -> Dataset:
    name = held.name or "the given table"
    for role, values in (("label", held.label), ("text", held.text)):
        check_index(data, values, role)
    return _of_columns(columns_of_frame(data, name), held, name)


def _of_mapping(data: Mapping[Any, Any], held: Held) -> Dataset:
    name = held.name or "the given table"
    names = [str(key) for key in data]
    if names and all(split_of(key) and key.lower() not in X_NAMES for key in names):
        raise DataError(f"{name} has the splits {named(names)}. Give one: data[{names[0]!r}].")
    if any(has_images(values) for values in data.values()):
        return _of_images(data, held)
    return _of_columns(columns_of(data, name), held, name)


def _of_images(data: Mapping[Any, Any], held: Held) -> Dataset:
    """Return a mapping with a list of images of Pillow, and its other columns, as a dataset."""
    num = next(len(values) for values in data.values() if has_images(values))
    columns = {str(key): v for key, v in data.items() if has_length(v, num)}
    left = [str(key) for key in data if str(key) not in columns]
    label = first_of(columns, LABEL_NAMES) if held.chosen.label is None else held.chosen.label
    if held.label is None and label in columns:
        held = replace(held, label=columns.pop(label), chosen=replace(held.chosen, label=""))
    found = _of_items(_Zipped(columns, num), held)
    if left:
        found.notes = (*found.notes, f"{named(left)} left out: not one value for each image.")
    return found


def _of_structured(data: Any, held: Held) -> Dataset:
    """Return an array with named columns as a dataset."""
    return _of_mapping({name: data[name] for name in data.dtype.names}, held)


def _of_records(data: Sequence[Mapping[Any, Any]], held: Held) -> Dataset:
    """Return a list of mappings, one for each row, as a dataset."""
    keys = list(dict.fromkeys(key for row in data for key in row))
    return _of_mapping({key: [row.get(key) for row in data] for key in keys}, held)


def _of_splits(data: Any, held: Held) -> Dataset:
    raise DataError(
        "Two pairs (X, y) are two splits. Give one of them: as_dataset((x_train, y_train))."
    )


def _refuse_flat(data: Any, held: Held) -> Dataset:
    raise DataError(
        f"X of (X, y) has the shape ({len(data[0])},): rows (N, ...) are needed. Give X[:, None] "
        "for one value in each row."
    )


def _of_pair(data: tuple[Any, Any], held: Held) -> Dataset:
    """Return (X, y) as a dataset."""
    x, y = data
    if held.label is not None or held.chosen.label:
        raise ConfigError("(X, y) has its labels already. Leave label out, or give X alone.")
    return dataset_of(x, replace(held, label=y))


def _of_rows(data: Any, held: Held) -> Dataset:
    name = held.name or "the given dataset"
    if getattr(data, "format", {}).get("type") == "custom":
        return _of_items(data, held)  # Its transform makes the rows.
    found = dataset_of_rows(data, held.chosen, name)
    if not isinstance(found, Dataset):
        return _of_columns(found, held, name)
    given = {"label": held.label, "text": held.text, "space": held.kind.space}
    unused = [key for key, value in given.items() if value is not None]
    if unused:
        raise ConfigError(
            f"{name} has images, whose labels and captions are columns: leave "
            f"{' and '.join(unused)} out."
        )
    return found


def _of_tensors(data: Any, held: Held) -> Dataset:
    """Return a TensorDataset, or a part of one, as a dataset: x, and the labels if it has any."""
    x, *others = tensors_of(data)
    name = held.name or "the given dataset"
    label = held.label
    if label is None and held.chosen.label != "":
        label = next((tensor for tensor in others if are_labels(tensor, len(x))), None)
    found = _of_array(x, replace(held, label=label, name=name))
    left = sum(tensor is not label for tensor in others)
    if left:
        are = "is" if left == 1 else "are"
        found.notes = (*found.notes, f"{left} of its {1 + len(others)} tensors {are} left out.")
    return found


def _of_loader(data: Any, held: Held) -> Dataset:
    part, note = loaded_part(data)
    found = dataset_of(part, held)
    found.notes = (note, *found.notes)
    return found


def _of_items(data: Any, held: Held) -> Dataset:
    name = held.name or "the given dataset"
    if held.text is not None:
        raise ConfigError(f"{name} is read item by item: let its items have a text.")
    return ItemRows(data, held.chosen, held.kind, name, held.label)


class _Zipped:
    """The rows of a mapping of columns, one mapping for each."""

    def __init__(self, columns: Mapping[str, Any], num: int) -> None:
        self.columns, self.num = columns, num

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {key: values[index] for key, values in self.columns.items()}


def _refuse_columns(data: Any, held: Held) -> None:
    """Refuse names of columns for data without columns."""
    chosen = held.chosen
    given = [name for name in (chosen.label, chosen.text, *chosen.drop) if name]
    if given:
        raise ConfigError(
            f"{_kind_of(data)} has no columns, so {named(given)} cannot be one. Give the labels "
            "themselves: label=[...]."
        )


def _kind_of(data: Any) -> str:
    return "None" if data is None else f"The given {type(data).__name__}"


def _refuse_stream(data: Any, held: Held) -> Dataset:
    raise DataError(
        f"{_kind_of(data)} yields rows one after another; rows by index are needed. Collect them "
        "first, such as with list(data)."
    )


_READERS: Sequence[tuple[Callable[[Any], bool], Callable[[Any, Held], Dataset]]] = (
    (is_frame, _of_frame),
    (is_hf, _of_rows),
    (
        lambda data: hasattr(data, "to_pandas"),
        lambda data, held: _of_frame(data.to_pandas(), held),
    ),
    (lambda data: hasattr(data, "toarray"), lambda data, held: _of_array(data.toarray(), held)),
    (is_loader, _of_loader),
    (lambda data: isinstance(data, (IterableDataset, Iterator)), _refuse_stream),
    (lambda data: bool(tensors_of(data)), _of_tensors),
    (lambda data: isinstance(data, TorchDataset), _of_items),
    (lambda data: isinstance(data, Mapping), _of_mapping),
    (are_splits, _of_splits),
    (is_pair, _of_pair),
    (is_flat_pair, _refuse_flat),
    (are_records, _of_records),
    (are_items, _of_items),
    (is_structured, _of_structured),
    (is_array, _of_array),
    (is_map_style, _of_items),
)
"""What reads each kind of data; the first that fits does."""
