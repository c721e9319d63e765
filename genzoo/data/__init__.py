"""Data by name or by path, and from what people hold.

A name is looked up in the registry. A path may be a file of arrays or a table, or a folder of
images, of IDX files, of tables or of `datasets`. ``user/name`` is a dataset of the Hub.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genzoo.config import shown
from genzoo.data.arrays.from_array import from_array
from genzoo.data.captioned import caption
from genzoo.data.columns.from_columns import Kind
from genzoo.data.config import DataConfig
from genzoo.data.dataset import ArrayDataset, Dataset, DataSource
from genzoo.data.domains import TwoDomains
from genzoo.data.finding import find_source, name_of
from genzoo.data.held import dataset_of, held_with
from genzoo.data.holding_out import HELD_OUT, load_part, splits_of
from genzoo.data.labelling import keep_labels
from genzoo.data.split_names import split_among
from genzoo.data.subsets import draw_rows, subset
from genzoo.data.transforms import prepare
from genzoo.errors import ConfigError, DataError, suggest

__all__ = [
    "ArrayDataset",
    "DataConfig",
    "DataSource",
    "Dataset",
    "TwoDomains",
    "as_dataset",
    "draw_rows",
    "find_source",
    "from_array",
    "keep_labels",
    "load_dataset",
    "load_split",
    "pair",
    "subset",
]

logger = logging.getLogger("genzoo")


def load_dataset(
    name_or_path: str | os.PathLike[str], split: str | None = "train", **config: Any
) -> Dataset:
    """Return one split of a dataset, by its registered name, a path, or a Hub repository.

    Arguments:
        name_or_path: Such as "digits", "data.npz", "~/table.csv", "folder/" or "user/name".
        split: The split; None means "test", or the only one.
        config: Fields of the source's config, such as ``binarize="threshold"``.

    Raises:
        UnknownNameError: Neither a registered name nor a path.
        DataError: The data are empty, unreadable or malformed.
        ConfigError: Data are given in place of their name; see `as_dataset`.

    >>> len(load_dataset("digits")), load_dataset("digits", "test").info["x"].event_shape
    (1500, (1, 8, 8))
    """
    cls, location = find_source(name_or_path, config)
    dataset = load_split(cls(cls.Config.from_dict(config), location), split)
    dataset.origin = name_of(name_or_path), config
    return dataset


def load_split(source: DataSource, split: str | None = "train") -> Dataset:
    """Return one split of a source, prepared.

    None means "test", or else what is held out, or the only split. Usual names stand for each
    other: "val" also means "valid" and "validation". The mean in the info is always that of the
    training split. The notes of the split are logged.

    Raises:
        DataError: There is no such split.
    """
    splits = splits_of(source)
    asked = split or next(name for name in ("test", HELD_OUT, splits[0]) if name in splits)
    split = split_among(asked, splits)
    if split is None:
        raise DataError(f"{_title(source)} has no split {asked!r}. {suggest(asked, splits)}")
    dataset = _noted(_prepared(source, split))
    of_train = dataset.mean if split == splits[0] else lambda: _prepared(source, splits[0]).mean()
    dataset.info = dataset.info.with_default_mean(of_train)
    if split == splits[0] and source.config.labelled is not None:
        notes = dataset.notes
        dataset = keep_labels(dataset, source.config.labelled, source.config.labelled_seed)
        dataset.notes = notes
    dataset.split = split
    return dataset


def _prepared(source: DataSource, split: str) -> Dataset:
    key = Path(source.location).name or type(source).__name__
    loaded = load_part(source, split)
    dataset = prepare(loaded, source.config, key)
    dataset = caption(dataset, source.grammar) if source.config.captions else dataset
    dataset.notes = loaded.notes
    return dataset


def _noted(dataset: Dataset) -> Dataset:
    """Log what is unusual about a dataset, before training or evaluation relies on it."""
    for note in dataset.notes:
        logger.warning("%s: %s", dataset.name, note)
    return dataset


def as_dataset(
    data: Dataset | Tensor | Any,
    *,
    label: str | int | Sequence[Any] | Tensor | None = None,
    drop: str | Sequence[str] = (),
    text: str | Sequence[str] | None = None,
    space: str | None = None,
    scale: float | None = None,
    like: Dataset | None = None,
    name: str | None = None,
) -> Dataset:
    """Return what you hold as a dataset; a dataset is returned as it is.

    Taken are arrays, tensors and lists of rows; ``(X, y)``; a DataFrame, or a dictionary of
    columns; a map-style dataset of torch whose items are x, tuples or dictionaries; the dataset
    of a DataLoader; and a ``datasets.Dataset``. In a table, each column of numbers is a value of
    x. In a dictionary, x is named x, data or images; further columns with one value per row are
    fields. What is inferred or left out is logged, and is in `Dataset.notes`.

    Arguments:
        data: The data.
        label: The column of labels, or the labels of all rows. By default, a column named label,
            labels, target, targets, class or y, in any letter case; the empty text stands for
            none. Texts become classes in natural order. −1 and missing labels mean "not labelled".
        drop: Columns to leave out.
        text: The column of captions, or the captions of all rows. By default, a column of texts
            named text, caption or captions.
        space: The registered name of the space of x, such as "unit"; inferred by default, see
            `from_array`.
        scale: The divisor of x, such as 255.
        like: The dataset of another split: x has its space, and classes have its numbers.
        name: The dataset's name.

    Raises:
        DataError: The data are none of these, or a value is missing or refused; the message names
            the column and the row.
        ConfigError: A name is given in place of data, or columns of data that have none.

    >>> import numpy as np
    >>> as_dataset({"width": [0.2, 1.5], "height": [0.1, 2.0], "kind": ["b", "a"]}, label="kind")
    ArrayDataset('the given table'; 2 rows; x: 2: finite numbers; label: labels from 0 to 1 (a, b))
    """
    if isinstance(data, (str, os.PathLike)):
        raise ConfigError(f"Give a dataset, not its name: load_dataset({os.fspath(data)!r}).")
    given = {"label": label, "drop": drop or None, "text": text, "space": space, "scale": scale}
    named = [
        key for key, value in (given | {"like": like, "name": name}).items() if value is not None
    ]
    if isinstance(data, Dataset):
        if named:
            raise ConfigError(f"A dataset is taken as it is: leave {', '.join(named)} out.")
        return data
    if not (scale is None or isinstance(scale, (int, float))):
        raise ConfigError(f"scale must be a number, got {shown(scale)}.")
    if not (like is None or isinstance(like, Dataset)):
        raise ConfigError("like must be a dataset: give as_dataset(...) of the other split.")
    held = held_with(label=label, drop=drop, text=text, kind=_kind(space, scale, like), name=name)
    dataset = _noted(dataset_of(data, held))
    dataset.info = dataset.info.with_default_mean(dataset.mean)
    return dataset


def _kind(space: str | None, scale: float | None, like: Dataset | None) -> Kind:
    if like is None:
        return Kind(space=space, scale=scale)
    fields = like.info.fields
    names = fields["label"].value_names() if "label" in fields else ()
    return Kind(space=space, scale=scale, like=fields["x"], label_names=names)


def pair(x: Dataset | Any, y: Dataset | Any) -> TwoDomains:
    """Join two datasets, or arrays of rows, as the two domains of one dataset.

    Raises:
        DataError: One of them already has two domains.

    >>> import torch
    >>> both = pair(load_dataset("digits"), torch.rand(50, 3, 8, 8))
    >>> both.info["x"].event_shape, both.info["y"].event_shape
    ((1, 8, 8), (3, 8, 8))
    """
    return TwoDomains(as_dataset(x), as_dataset(y))


def _title(source: DataSource) -> str:
    return source.location or type(source).__name__
