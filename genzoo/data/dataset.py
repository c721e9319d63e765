"""Datasets: map-style rows that come out as batches, and where they come from."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds, Config
from genzoo.errors import DataError
from genzoo.spec import DataSpec, Kind

Binarize = Literal["static", "dynamic", "threshold"]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """What every source of data takes; its own config adds to these."""

    binarize: Binarize | None = None
    """Grey to 0/1: static (one draw for each row), dynamic (a draw at each presentation),
    threshold (x > 0.5)."""
    binarize_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the static draw."""
    limit: Annotated[int | None, Bounds(1, 10**12)] = None
    """Only the first so many rows."""


class Dataset(abc.ABC):
    """Rows that can be asked for by index, and what they are; abstract.

    Attributes:
        spec: What the rows are.
        name: What to call the dataset in a receipt.
        origin: The name or path and the config values that `load_dataset` was given; None for
            rows that did not come from there.
    """

    spec: DataSpec
    name: str
    origin: tuple[str, Mapping[str, Any]] | None = None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abc.abstractmethod
    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices`` as a batch; see `genzoo.spec.Batch`.

        Arguments:
            indices: Which rows.
            generator: Where drawn data (dynamic binarisation, augmentation) take their
                randomness from.
        """

    def head(self, num: int, *, seed: int = 0) -> dict[str, Any]:
        """Return the first ``num`` rows, or all where there are fewer, as one batch."""
        return self.batch(range(min(num, len(self))), seeds.generator(seed))


class ArrayDataset(Dataset):
    """Rows held in memory.

    Arguments:
        x: The rows, (N, *event_shape), float32, or uint8 to be divided by ``scale``.
        spec: What they are once divided.
        name: What to call them.
        label: One class index for each row.
        scale: What uint8 rows are divided by.
    """

    def __init__(
        self, x: Tensor, spec: DataSpec, name: str, label: Tensor | None = None, scale: float = 1.0
    ) -> None:
        if len(x) == 0:
            raise DataError(f"{name} is empty: it holds no rows.")
        self.x, self.spec, self.name, self.label, self.scale = x, spec, name, label, scale

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.x)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index = torch.as_tensor(indices)
        x = self.x[index].float()
        found: dict[str, Any] = {"x": x if self.scale == 1 else x.div_(self.scale)}
        if self.label is not None:
            found["label"] = self.label[index]
        return found

    def mean(self) -> Tensor:
        """Return the mean row, summed in float64."""
        total = sum(piece.double().sum(0) for piece in self.x.split(4096))
        return (torch.as_tensor(total) / (len(self.x) * self.scale)).float()


class Binarized(Dataset):
    """Grey rows as zeros and ones, drawn afresh or cut at one half at each presentation.

    Arguments:
        dataset: Rows in [0, 1].
        how: "dynamic" or "threshold".
    """

    def __init__(self, dataset: Dataset, how: Binarize) -> None:
        self.dataset, self.how = dataset, how
        self.name = f"{dataset.name} ({how} binarisation)"
        self.spec = dataclasses.replace(dataset.spec, kind="binary", range=(0.0, 1.0))

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


class DataSource(abc.ABC):
    """Where data come from: what is registered in ``genzoo.datasets``; abstract.

    Arguments:
        config: The source's own frozen dataclass, a `DataConfig`.
        location: The path or repository, for a source that is not one fixed set.
    """

    Config: ClassVar[type[DataConfig]]

    def __init__(self, config: DataConfig | None = None, location: str = "") -> None:
        self.config: Any = self.Config() if config is None else config
        self.location = location

    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, the training split first."""

    @abc.abstractmethod
    def load(self, split: str) -> Dataset:
        """Return one split, grey data as they are.

        Raises:
            DataError: The data are empty, unreadable, or not what they should be.
        """


def prepare(dataset: Dataset, config: DataConfig) -> Dataset:
    """Apply what every `DataConfig` says to freshly loaded rows."""
    if config.limit is not None:
        dataset = Limited(dataset, config.limit)
    if config.binarize is None or dataset.spec.kind == "binary":
        return dataset
    if dataset.spec.kind != "unit":
        low, high = dataset.spec.range
        raise DataError(
            f"{dataset.name} cannot be binarised: its values are in [{low:g}, {high:g}], not in "
            "[0, 1]. Divide by 255? Give --data.scale 255."
        )
    if config.binarize == "static":
        return _static(dataset, config.binarize_seed)
    return Binarized(dataset, config.binarize)


def _static(dataset: Dataset, seed: int) -> ArrayDataset:
    """Draw every row once, and keep the draws."""
    generator = seeds.generator(seeds.derive("static binarisation", seed, dataset.name))
    drawn = Binarized(dataset, "dynamic")
    batches = [drawn.batch(rows, generator) for rows in torch.arange(len(dataset)).split(4096)]
    x = torch.cat([batch["x"].to(torch.uint8) for batch in batches])
    label = torch.cat([b["label"] for b in batches]) if "label" in batches[0] else None
    name = f"{dataset.name} (static binarisation, seed {seed})"
    return ArrayDataset(x, drawn.spec, name, label)


def mean_of_rows(dataset: Dataset) -> Tensor:
    """Return the mean row of a dataset, each row presented once."""
    total, num = torch.zeros(dataset.spec.event_shape, dtype=torch.float64), 0
    for rows in torch.arange(len(dataset)).split(4096):
        x = dataset.batch(rows, seeds.generator(num))["x"]
        total, num = total + x.double().sum(0), num + len(rows)
    return (total / num).float()


def from_array(
    x: np.ndarray[Any, Any] | Tensor,
    name: str,
    *,
    label: np.ndarray[Any, Any] | Tensor | None = None,
    scale: float = 1.0,
) -> ArrayDataset:
    """Make a dataset of an array, finding out what kind of data it holds.

    Arguments:
        x: One row for each example, (N, ...).
        name: What to call it.
        label: One class index for each row.
        scale: What every value is divided by.

    Raises:
        DataError: It is empty, not numeric, one-dimensional, or holds NaN or infinity.
    """
    rows = _numeric(x, name)
    if rows.ndim < 2:
        raise DataError(
            f"{name} has shape {tuple(rows.shape)}: one row for each example is needed, (N, ...)."
        )
    if len(rows) == 0 or rows[0].numel() == 0:
        raise DataError(f"{name} is empty: its shape is {tuple(rows.shape)}.")
    low, high = _range(rows, name)
    kind = _kind(rows, low / scale, high / scale)
    classes = _labels(label, len(rows), name)
    spec = DataSpec(
        event_shape=tuple(rows.shape[1:]),
        kind=kind,
        range=(0.0, 1.0) if kind != "real" else (low / scale, high / scale),
        num_classes=None if classes is None else int(classes.max()) + 1,
    )
    return ArrayDataset(
        rows if rows.dtype == torch.uint8 else rows.float(), spec, name, classes, scale
    )


def _numeric(x: Any, name: str) -> Tensor:
    if isinstance(x, Tensor):
        return x.detach().cpu()
    array = np.ascontiguousarray(x)
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} holds {array.dtype} values; numbers are needed.")
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    return torch.from_numpy(array if array.dtype == np.uint8 else array.astype(np.float32))


def _range(x: Tensor, name: str) -> tuple[float, float]:
    low, high = (value.item() for value in torch.aminmax(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        flat = ~torch.isfinite(x.float()).flatten(1).all(1)
        raise DataError(
            f"{name} holds NaN or infinity, in {int(flat.sum())} of {len(x)} rows, the first of "
            f"which is row {int(flat.nonzero()[0])}. Remove or fill them."
        )
    return low, high


def _kind(x: Tensor, low: float, high: float) -> Kind:
    if low < 0 or high > 1:
        return "real"
    ends = x.amin(), x.amax()
    bits = all(bool(((p == ends[0]) | (p == ends[1])).all()) for p in x.split(4096))
    return "binary" if bits and {low, high} <= {0.0, 1.0} else "unit"


def _labels(label: Any, num: int, name: str) -> Tensor | None:
    if label is None:
        return None
    classes = torch.as_tensor(np.asarray(label)).long()
    if classes.shape != (num,) or int(classes.min()) < 0:
        raise DataError(
            f"The labels of {name} must be {num} class indices from 0; their shape is "
            f"{tuple(classes.shape)}, the least is {int(classes.min()) if len(classes) else '-'}."
        )
    return classes


def describe(spec: DataSpec) -> Mapping[str, Any]:
    """Return a spec as plain values, for a recipe or a receipt."""
    facts = {**spec.facts(), "kind": spec.kind, "range": list(spec.range)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}
