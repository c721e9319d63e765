"""What every source's rows go through: the first so many, and grey to zeros and ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data.dataset import ArrayDataset, Binarize, DataConfig, Dataset, rows_at_once
from genzoo.data.domains import TwoDomains
from genzoo.errors import DataError
from genzoo.spec import DataSpec

_BLOCK = 64


def prepare(dataset: Dataset, config: DataConfig) -> Dataset:
    """Apply what every `DataConfig` says to freshly loaded rows, of both domains where two are.

    Raises:
        DataError: The rows are to be binarised, and are not in [0, 1].
    """
    if isinstance(dataset, TwoDomains):
        both = prepare(dataset.x, config), prepare(dataset.y, config)
        return TwoDomains(*both, aligned=dataset.spec.aligned)
    name = dataset.name
    if config.limit is not None:
        dataset = Limited(dataset, config.limit)
    if config.binarize is None or dataset.spec.kind == "binary":
        return dataset
    _check_grey(dataset)
    if config.binarize == "static":
        return _static(dataset, seeds.derive("static binarisation", config.binarize_seed, name))
    return Binarized(dataset, config.binarize)


class Binarized(Dataset):
    """Grey rows as zeros and ones, drawn afresh or cut at one half at each presentation.

    Arguments:
        dataset: Rows in [0, 1].
        how: "dynamic" or "threshold".
    """

    def __init__(self, dataset: Dataset, how: Binarize) -> None:
        self.dataset, self.how = dataset, how
        self.name = f"{dataset.name} ({how} binarisation)"
        self.spec = binary(dataset.spec)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.dataset)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices`` as zeros and ones."""
        found = self.dataset.batch(indices, generator)
        cut = torch.rand(found["x"].shape, generator=generator) if self.how == "dynamic" else 0.5
        return {**found, "x": (found["x"] > cut).float()}

    def mean(self) -> Tensor | None:
        """Return the mean row; of rows drawn afresh, their expectation."""
        inner = self.dataset.mean()
        return inner if inner is None or self.how == "dynamic" else mean_of_rows(self)


class Limited(Dataset):
    """The first rows of another dataset.

    Arguments:
        dataset: Where the rows are.
        limit: How many of them.
    """

    def __init__(self, dataset: Dataset, limit: int) -> None:
        self.dataset, self.limit = dataset, min(limit, len(dataset))
        self.spec, self.name = dataset.spec, f"{dataset.name}[:{self.limit}]"

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.limit

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        return self.dataset.batch(indices, generator)

    def mean(self) -> Tensor | None:
        """Return the mean row."""
        return None if self.dataset.mean() is None else mean_of_rows(self)


def binary(spec: DataSpec) -> DataSpec:
    """Return what grey data are once they are zeros and ones."""
    return dataclasses.replace(spec, kind="binary", range=(0.0, 1.0), levels=None)


def mean_of_rows(dataset: Dataset) -> Tensor:
    """Return the mean row of a dataset, each row presented once, summed in float64."""
    total = torch.zeros(dataset.spec.event_shape, dtype=torch.float64)
    at_once = rows_at_once(dataset.spec.event_shape)
    for rows in torch.split(torch.arange(len(dataset)), at_once):
        total += dataset.batch(rows)["x"].double().sum(0)
    return (total / len(dataset)).float()


def _check_grey(dataset: Dataset) -> None:
    if dataset.spec.kind == "unit":
        return
    low, high = dataset.spec.range
    remedy = f"Divide by {high:g}? Give --data.scale {high:g}." if low >= 0 else "Rescale them."
    raise DataError(
        f"{dataset.name} cannot be binarised: its values are in [{low:g}, {high:g}], not in "
        f"[0, 1]. {remedy}"
    )


def _static(dataset: Dataset, seed: int) -> ArrayDataset:
    """Draw every row once, and keep the draws: a row's draw depends on its place alone."""
    x = torch.empty(len(dataset), *dataset.spec.event_shape, dtype=torch.uint8)
    others: dict[str, list[Any]] = {}
    for k, rows in enumerate(torch.split(torch.arange(len(dataset)), _BLOCK)):
        batch = dataset.batch(rows)
        generator = seeds.generator(seeds.derive(seed, k))
        cut = torch.rand(_BLOCK, *dataset.spec.event_shape, generator=generator)
        x[rows] = (batch.pop("x") > cut[: len(rows)]).to(torch.uint8)
        for key, values in batch.items():
            others.setdefault(key, []).extend(values)
    text = others.pop("text", None)
    columns = {key: torch.stack(values) for key, values in others.items()}
    label, spec = columns.pop("label", None), binary(dataset.spec)
    name = f"{dataset.name} (static binarisation)"
    return ArrayDataset(x, spec, name, label, text=text, columns=columns)
