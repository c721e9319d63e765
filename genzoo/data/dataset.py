"""Datasets: map-style rows that come out as batches, and where they come from."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Bounds, Config
from genzoo.errors import DataError
from genzoo.spec import DataInfo

Binarize = Literal["static", "dynamic", "threshold"]
_VALUES = 2**23


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """What every source of data takes; its own config adds to these."""

    binarize: Binarize | None = None
    """Grey to 0/1: static draws once a row, dynamic at each presentation, threshold is x > 0.5."""
    binarize_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of the static draw."""
    limit: Annotated[int | None, Bounds(1, 10**12)] = None
    """At most so many rows, drawn at random; in proportion to the labels, if there are any."""
    limit_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """The seed of that draw."""
    labelled: Annotated[int | None, Bounds(1, 10**9)] = None
    """Of the training split, so many labels are kept, as many of each; the others become −1."""
    labelled_seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0
    """Which they are."""
    space: Annotated[str | None, Bounds(1, 64)] = None
    """The space that the rows are written in, such as categorical for grey levels."""
    captions: bool = False
    """A caption for each row, drawn at each presentation from the data's grammar."""


class Dataset(abc.ABC):
    """Rows that can be asked for by index, and what they are; abstract.

    Attributes:
        info: What the rows are, field by field.
        name: What to call the dataset in the provenance of figures.
        origin: The name or path and the config values that `load_dataset` was given; None for
            rows that did not come from there.
        split: The name of the split, for rows that did.
    """

    info: DataInfo
    name: str
    origin: tuple[str, Mapping[str, Any]] | None = None
    split: str = ""

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

    def select(self, fields: Collection[str]) -> Dataset:
        """Return the same rows with some of their fields alone; others need not be made.

        Arguments:
            fields: Their names; "x" is always there.
        """
        kept = tuple(name for name in self.info.fields if name == "x" or name in fields)
        return self if set(kept) == set(self.info.fields) else Selected(self, kept)

    def labels(self) -> Tensor | None:
        """Return the label of every row, (N,) int64, without reading the rows.

        None where there are no labels, and where they are only found by reading every row. A
        part of such rows is drawn without regard to labels.
        """
        return None

    def mean(self) -> Tensor | None:
        """Return the mean row; None where that would mean to read everything from a disk."""
        return None

    def head(self, num: int, *, seed: int = 0) -> dict[str, Any]:
        """Return the first ``num`` rows, or all where there are fewer, as one batch.

        Of sorted data the first rows may all have one label. `genzoo.data.draw_rows` returns
        rows that stand for all.

        Arguments:
            num: How many.
            seed: Where drawn data take their randomness from.
        """
        return self.batch(range(min(num, len(self))), seeds.generator(seed))


class TransformedDataset(Dataset):
    """The rows of another dataset, changed as they are read; abstract.

    Arguments:
        dataset: The other dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.dataset)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``, changed."""
        return self.transform(self.dataset.batch(indices, generator), generator)

    @abc.abstractmethod
    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return what rows of the other dataset become.

        Arguments:
            batch: The rows.
            generator: Where drawn data take their randomness from.
        """

    def labels(self) -> Tensor | None:
        """Return the label of every row, where they are known."""
        return self.dataset.labels()

    def mean(self) -> Tensor | None:
        """Return the mean row, which by default the change leaves as it is."""
        return self.dataset.mean()


class Selected(TransformedDataset):
    """Some of the fields of a dataset.

    Arguments:
        dataset: The rows.
        fields: The names of the fields that are kept.
    """

    def __init__(self, dataset: Dataset, fields: tuple[str, ...]) -> None:
        super().__init__(dataset)
        self.fields = fields
        self.info, self.name = dataset.info.only(fields), dataset.name
        self.origin, self.split = dataset.origin, dataset.split

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return the fields that are kept."""
        return {name: batch[name] for name in self.fields}


class ArrayDataset(Dataset):
    """Rows held in memory.

    Arguments:
        x: The rows, (N, *event_shape), float32 or uint8, before they are divided.
        info: What they are once divided.
        name: What to call them.
        label: One class index for each row.
        scale: What the rows are divided by.
        text: One caption for each row.
        columns: What else a batch holds, one value for each row.

    Raises:
        DataError: There are no rows.
    """

    def __init__(
        self,
        x: Tensor,
        info: DataInfo,
        name: str,
        label: Tensor | None = None,
        scale: float = 1.0,
        *,
        text: Sequence[str] | None = None,
        columns: Mapping[str, Tensor] | None = None,
    ) -> None:
        if len(x) == 0:
            raise DataError(f"{name} is empty: it holds no rows.")
        self.x, self.info, self.name, self.label, self.scale = x, info, name, label, scale
        self.text, self.columns = text, dict(columns or {})

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.x)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index = torch.as_tensor(indices)
        x = self.x.index_select(0, index)  # Ten times as fast as self.x[index].
        x = x.to(self.info["x"].dtype)
        found: dict[str, Any] = {"x": x if self.scale == 1 else x.div_(self.scale)}
        found |= {name: values[index] for name, values in self.columns.items()}
        if self.label is not None:
            found["label"] = self.label[index]
        if self.text is not None:
            found["text"] = [self.text[i] for i in index.tolist()]
        return found

    def labels(self) -> Tensor | None:
        """Return the label of every row."""
        return self.label

    def mean(self) -> Tensor:
        """Return the mean row, summed in float64."""
        total = torch.zeros(self.x.shape[1:], dtype=torch.float64)
        for piece in torch.split(self.x, rows_at_once(self.x.shape[1:])):
            total += piece.double().sum(0)
        return (total / (len(self.x) * self.scale)).float()


def mean_of_rows(dataset: Dataset) -> Tensor:
    """Return the mean row of a dataset, each row presented once, summed in float64."""
    total = torch.zeros(dataset.info["x"].event_shape, dtype=torch.float64)
    at_once = rows_at_once(dataset.info["x"].event_shape)
    for rows in torch.split(torch.arange(len(dataset)), at_once):
        total += dataset.batch(rows)["x"].double().sum(0)
    return (total / len(dataset)).float()


def rows_at_once(event_shape: Sequence[int]) -> int:
    """Return of how many rows wider copies are made: 4,096, or fewer where they are long."""
    return max(1, min(4096, _VALUES // max(1, math.prod(event_shape))))


class DataSource(abc.ABC):
    """Where data come from: what is registered in ``genzoo.datasets``; abstract.

    Arguments:
        config: The source's own frozen dataclass, a `DataConfig`.
        location: The path or repository, for a source that is not one fixed set.
    """

    Config: ClassVar[type[DataConfig]]
    located: ClassVar[bool] = False
    """Whether it reads what a path or a repository names, and so is no data by itself."""
    repository: ClassVar[str] = ""
    """The repository of the Hub that has the same data; empty where none is known."""
    grammar: ClassVar[tuple[str, ...]] = ()
    """The templates of captions for its labels, see `genzoo.captions`; empty where none are."""

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
