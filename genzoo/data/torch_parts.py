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

_PLAIN = (RandomSampler, SequentialSampler)


def tensors_of(dataset: Any) -> tuple[Tensor, ...]:
    """Return the tensors of a TensorDataset, or of a part of one; none of other datasets."""
    # A subclass may return other items than its tensors.
    if type(dataset) is TensorDataset:
        return tuple(dataset.tensors)
    if type(dataset) is not Subset:
        return ()
    rows = torch.as_tensor(dataset.indices, dtype=torch.long)
    return tuple(tensor[rows] for tensor in tensors_of(dataset.dataset))


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
