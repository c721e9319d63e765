"""Datasets and loaders of torch: their tensors, and the rows that a loader reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from genzoo.errors import DataError

_PLAIN = (RandomSampler, SequentialSampler)


def tensors_of(dataset: Any) -> tuple[Tensor, ...]:
    """Return the tensors of a TensorDataset, or of a part of one; none of other datasets.

    Raises:
        DataError: The part has a row that is not there.
    """
    # A subclass may return other items than its tensors.
    if type(dataset) is TensorDataset:
        return tuple(dataset.tensors)
    if type(dataset) is not Subset:
        return ()
    rows, tensors = torch.as_tensor(dataset.indices, dtype=torch.long), tensors_of(dataset.dataset)
    num = len(tensors[0]) if tensors else 0
    if tensors and len(rows) and not -num <= int(rows.min()) <= int(rows.max()) < num:
        raise DataError(f"A Subset names the row {int(rows.abs().max())} of {num} rows.")
    return tuple(tensor[rows] for tensor in tensors)


def is_loader(data: Any) -> bool:
    """Whether ``data`` are a DataLoader."""
    return isinstance(data, DataLoader)


def loaded_part(loader: Any) -> tuple[Any, str]:
    """Return the dataset of a loader, or the part that it reads, and what is said of it."""
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    ignored = ["batch size", "order", "workers"]
    if not isinstance(sampler, (*_PLAIN, SubsetRandomSampler)):
        ignored.append(f"sampler ({type(sampler).__name__})")
    if loader.collate_fn is not default_collate:
        ignored.append("collate_fn")
    note = f"of the loader, only the dataset is read; ignored are its {', '.join(ignored)}."
    if isinstance(sampler, SubsetRandomSampler):
        return Subset(loader.dataset, list(sampler.indices)), note
    return loader.dataset, note
