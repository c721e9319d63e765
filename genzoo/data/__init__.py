"""Data by name or by path.

A name is looked up in the registry. A path may be an array file, a folder of IDX files or a folder
of images. ``user/name`` is a dataset of the Hub.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from genzoo import registry
from genzoo.data.captioned import caption
from genzoo.data.dataset import (
    ArrayDataset,
    DataConfig,
    Dataset,
    DataSource,
)
from genzoo.data.domains import TwoDomains
from genzoo.data.from_array import from_array
from genzoo.data.labelling import keep_labels
from genzoo.data.subsets import draw_rows, subset
from genzoo.data.transforms import prepare
from genzoo.errors import ConfigError, DataError, UnknownNameError, suggest

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
_ARRAYS = (".npz", ".npy", ".safetensors")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def load_dataset(name_or_path: str, split: str | None = "train", **config: Any) -> Dataset:
    """Return one split of a dataset, by its registered name, a path, or a Hub repository.

    Arguments:
        name_or_path: Such as "digits", "data.npz", "folder/" or "user/name".
        split: The split; None means "test", or the only one.
        config: Fields of the source's config, such as ``binarize="threshold"``.

    Raises:
        UnknownNameError: Neither a registered name nor a path.
        DataError: The data are empty, unreadable or malformed.

    >>> len(load_dataset("digits")), load_dataset("digits", "test").info["x"].event_shape
    (1500, (1, 8, 8))
    """
    cls, location = find_source(name_or_path)
    dataset = load_split(cls(cls.Config.from_dict(config), location), split)
    dataset.origin = name_or_path, config
    return dataset


def load_split(source: DataSource, split: str | None = "train") -> Dataset:
    """Return one split of a source, prepared; None means "test", or the only split.

    The mean in the info is always that of the training split. The notes of the split are logged.

    Raises:
        DataError: There is no such split.
    """
    splits = source.splits()
    split = split or ("test" if "test" in splits else splits[0])
    if split not in splits:
        raise DataError(f"{_title(source)} has no split {split!r}. {suggest(split, splits)}")
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
    loaded = source.load(split)
    dataset = prepare(loaded, source.config, key)
    dataset = caption(dataset, source.grammar) if source.config.captions else dataset
    dataset.notes = loaded.notes
    return dataset


def _noted(dataset: Dataset) -> Dataset:
    """Log what is unusual about a dataset, before training or evaluation relies on it."""
    for note in dataset.notes:
        logger.warning("%s: %s", dataset.name, note)
    return dataset


def find_source(name_or_path: str) -> tuple[type[DataSource], str]:
    """Return the source's class and its location.

    Raises:
        UnknownNameError: Neither a registered name nor a path.
        DataError: The file is not data, or the name is that of a reader.
    """
    if name_or_path in registry.names("datasets"):
        return _complete(registry.load("datasets", name_or_path), name_or_path), ""
    path = Path(name_or_path)
    if name_or_path and os.path.isdir(path):
        idx = any(path.glob("*-idx3-ubyte*"))
        return registry.load("datasets", "idx" if idx else "images"), name_or_path
    if path.suffix in _ARRAYS:
        return registry.load("datasets", "arrays"), name_or_path
    if os.path.isfile(path):
        raise DataError(
            f"{name_or_path!r} is not a data file: use {', '.join(_ARRAYS)}, or a folder of "
            "images."
        )
    if _REPOSITORY.fullmatch(name_or_path) and not os.path.isdir(path.parent):
        return registry.load("datasets", "hub"), name_or_path
    raise UnknownNameError("dataset (and no such path)", name_or_path, registry.names("datasets"))


def _complete(cls: type[DataSource], name: str) -> type[DataSource]:
    """Refuse the name of a reader in place of data."""
    if cls.located:
        raise DataError(
            f"{name!r} is a reader, not a dataset. Give the file, the folder or the "
            f"repository itself; ./{name} is a folder of that name."
        )
    return cls


def as_dataset(data: Dataset | Tensor | Any) -> Dataset:
    """Return ``data`` as a dataset; an array or tensor of rows becomes a dataset in memory."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str):
        raise ConfigError(f"Give a dataset, not its name: load_dataset({data!r}).")
    dataset = _noted(from_array(data, "the given array"))
    dataset.info = dataset.info.with_mean(dataset.mean)
    return dataset


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
