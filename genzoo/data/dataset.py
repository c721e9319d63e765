"""Datasets: map-style rows in batches, and their sources."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.component import Configured
from genzoo.config import C
from genzoo.data import display
from genzoo.data.arrays.conversion import Conversion
from genzoo.data.arrays.rows import blocks, rows_at_once, take
from genzoo.data.config import DataConfig
from genzoo.data.indexing import position, positions
from genzoo.errors import DataError
from genzoo.spec import DataInfo

_BLOCK = 64
"""The number of rows that iteration reads at once."""


class RowOrder(Protocol):
    """An endless order of the rows of a dataset, epoch after epoch."""

    def indices(self, positions: range) -> Tensor:
        """Return the row indices at positions, (B,) int64.

        Arguments:
            positions: Consecutive positions, from 0.
        """
        ...


class Dataset(abc.ABC):
    """Abstract base class of datasets: rows by index, with a description.

    Attributes:
        info: The description of the fields.
        name: The dataset's name in the provenance of figures.
        origin: The name or path and the config values given to `load_dataset`; None for other
            rows.
        split: The name of the split, for rows of `load_dataset`.
        notes: What was inferred in an unusual way or left out, one short sentence for each.
    """

    info: DataInfo
    name: str
    origin: tuple[str, Mapping[str, Any]] | None = None
    split: str = ""
    notes: tuple[str, ...] = ()

    @abc.abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abc.abstractmethod
    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices`` as a batch; see `genzoo.spec.Batch`.

        Arguments:
            indices: The indices.
            generator: The generator of random data (dynamic binarisation, augmentation).
        """

    @property
    def draws(self) -> bool:
        """Whether reading rows may draw random numbers; if not, it needs no generator."""
        return True

    def select(self, fields: Collection[str]) -> Dataset:
        """Return the same rows with some of their fields only; others need not be computed.

        Arguments:
            fields: Their names; "x" is always included.
        """
        kept = tuple(name for name in self.info.fields if name == "x" or name in fields)
        return self if set(kept) == set(self.info.fields) else Selected(self, kept)

    def labels(self) -> Tensor | None:
        """Return the label of every row, (N,) int64, without reading the rows.

        It is None if there are no labels, or if they are known only by reading every row. Parts of
        such rows are then drawn without regard to labels.
        """
        return None

    def needs_workers(self, num_rows: int) -> bool:
        """Whether reading rows again and again is so slow that worker processes should help.

        Arguments:
            num_rows: The number of rows that are read.
        """
        return False

    def mean(self) -> Tensor | None:
        """Return the mean row; None if that would require reading everything from a disk."""
        return None

    def first_rows(self) -> Tensor:
        """Return the indices of the rows whose mean stands for that of all.

        They are all rows; of a stream, those of its first shards.
        """
        return torch.arange(len(self))

    def order(self, seed: int, num_processes: int = 1) -> RowOrder | None:
        """Return the order in which training reads the rows, the same for all processes.

        None stands for one random permutation of all rows after another. A stream has its own
        order, in which rows that lie near each other are read together.

        Arguments:
            seed: The seed.
            num_processes: The number of processes that read rows.
        """
        return None

    def draw(self, num: int, seed: int) -> Tensor | None:
        """Return the indices of random rows that can be read without reading all others.

        None stands for all rows alike. A stream draws from its first shards.

        Arguments:
            num: The number of rows.
            seed: The seed.
        """
        return None

    def identity(self) -> Mapping[str, Any]:
        """Return what must not change while a run is resumed, besides the number of rows."""
        return {}

    def head(self, num: int, *, seed: int = 0) -> dict[str, Any]:
        """Return the first ``num`` rows, or all if there are fewer, as one batch.

        In sorted data the first rows may all have one label. `genzoo.data.draw_rows` returns
        representative rows.

        Arguments:
            num: The number of rows.
            seed: The seed of random data.
        """
        return self.batch(range(min(num, len(self))), seeds.generator(seed))

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> dict[str, Any]:
        """Return one row by field, or the batch of several rows.

        Arguments:
            index: An integer for one row; a slice, integers or a mask of bools for a batch.

        Raises:
            IndexError: There is no such row.

        >>> from genzoo.data import load_dataset
        >>> digits = load_dataset("digits")
        >>> digits[0]["x"].shape, digits[-2:]["label"].shape
        (torch.Size([1, 8, 8]), torch.Size([2]))
        """
        row = position(index, len(self))
        if row is None:
            return self.batch(positions(index, len(self)))
        return {name: values[0] for name, values in self.batch([row]).items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield every row once, by field."""
        for first in range(0, len(self), _BLOCK):
            num = min(_BLOCK, len(self) - first)
            batch = self.batch(range(first, first + num))
            for i in range(num):
                yield {name: values[i] for name, values in batch.items()}

    def __repr__(self) -> str:
        return display.line_of(self)

    def _repr_html_(self) -> str:
        return display.html_of(self)


class TransformedDataset(Dataset):
    """Abstract base class: the rows of another dataset, transformed as they are read.

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
        """Return the transformed rows at ``indices``."""
        return self.transform(self.dataset.batch(indices, generator), generator)

    @abc.abstractmethod
    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Transform rows of the other dataset.

        Arguments:
            batch: The rows.
            generator: The generator of random data.
        """

    def labels(self) -> Tensor | None:
        """Return the label of every row, if they are known."""
        return self.dataset.labels()

    def needs_workers(self, num_rows: int) -> bool:
        """Whether reading rows of the other dataset is slow."""
        return self.dataset.needs_workers(num_rows)

    def mean(self) -> Tensor | None:
        """Return the mean row; by default it is that of the other dataset."""
        return self.dataset.mean()

    def first_rows(self) -> Tensor:
        """Return the indices of the rows whose mean stands for that of all."""
        return self.dataset.first_rows()

    def order(self, seed: int, num_processes: int = 1) -> RowOrder | None:
        """Return the order in which training reads the rows of the other dataset."""
        return self.dataset.order(seed, num_processes)

    def draw(self, num: int, seed: int) -> Tensor | None:
        """Return the indices of random rows of the other dataset."""
        return self.dataset.draw(num, seed)

    def identity(self) -> Mapping[str, Any]:
        """Return what must not change of the other dataset."""
        return self.dataset.identity()


class Selected(TransformedDataset):
    """Some of the fields of a dataset.

    Arguments:
        dataset: The rows.
        fields: The names of the fields to keep.
    """

    def __init__(self, dataset: Dataset, fields: tuple[str, ...]) -> None:
        super().__init__(dataset)
        self.fields = fields
        self.info, self.name = dataset.info.only(fields), dataset.name
        self.origin, self.split = dataset.origin, dataset.split
        self.notes = dataset.notes

    @property
    def draws(self) -> bool:
        """Whether reading rows of the other dataset draws random numbers."""
        return self.dataset.draws

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return the fields that are kept."""
        return {name: batch[name] for name in self.fields}


class ArrayDataset(Dataset):
    """Rows held in memory, or mapped from a file, as they are stored; each batch is converted.

    Arguments:
        x: The stored rows, (N, *event_shape), of any real type.
        info: The description of the rows after conversion.
        name: The dataset's name.
        label: One class index for each row.
        scale: The divisor of the rows.
        text: One caption for each row.
        columns: Further fields, with one value for each row.
        convert: A function from stored rows to rows of the space; by default they are divided.

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
        convert: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if len(x) == 0:
            raise DataError(f"{name} is empty: it has no rows.")
        self.x, self.info, self.name, self.label, self.scale = x, info, name, label, scale
        self.text, self.columns = text, dict(columns or {})
        self.convert = convert or Conversion(info["x"], scale)

    @property
    def draws(self) -> bool:
        """Whether a subclass reads rows in its own way, which may draw random numbers."""
        return type(self).batch is not ArrayDataset.batch

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.x)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index = indices if isinstance(indices, Tensor) else torch.as_tensor(indices)
        found: dict[str, Any] = {"x": self.convert(take(self.x, index))}
        found |= {name: values[index] for name, values in self.columns.items()}
        if self.label is not None:
            found["label"] = self.label[index]
        if self.text is not None:
            found["text"] = [self.text[i] for i in index.tolist()]
        return found

    def labels(self) -> Tensor | None:
        """Return the label of every row."""
        return self.label

    def mean(self) -> Tensor | None:
        """Return the mean row, summed in float64; None for categories.

        The bytes of a block are summed in float32, which is exact and fast.
        """
        if not self.info["x"].dtype.is_floating_point:
            return None
        divides = isinstance(self.convert, Conversion) and self.convert.only_divides
        total = torch.zeros(self.x.shape[1:], dtype=torch.float64)
        for block in blocks(self.x):
            total += _sum(block if divides else self.convert(block))
        return (total / (len(self.x) * (self.scale if divides else 1))).float()


def _sum(rows: Tensor) -> Tensor:
    """Return the sum of at most 4,096 rows; see `rows_at_once`."""
    # A float32 holds 4,096 × 255 exactly.
    return rows.float().sum(0) if rows.dtype == torch.uint8 else rows.double().sum(0)


def mean_of_rows(dataset: Dataset) -> Tensor:
    """Return the mean row of a dataset, each row presented once, summed in float64.

    Of a stream, it is the mean of the first rows.
    """
    total, first = torch.zeros(dataset.info["x"].event_shape).double(), dataset.first_rows()
    at_once = rows_at_once(dataset.info["x"].event_shape)
    for rows in torch.split(first, at_once):
        total += dataset.batch(rows)["x"].double().sum(0)
    return (total / len(first)).float()


class DataSource(Configured[C]):
    """Abstract base class of data sources, which are registered in ``genzoo.datasets``.

    Arguments:
        config: The source's own frozen dataclass, a `DataConfig`.
        location: The path or repository, for a source that is not a fixed dataset.
    """

    Config: ClassVar[type[DataConfig]]
    located: ClassVar[bool] = False
    """Whether it reads a path or a repository, so it is not a dataset itself."""
    repository: ClassVar[str] = ""
    """The Hub repository with the same data; empty if none is known."""
    grammar: ClassVar[tuple[str, ...]] = ()
    """The templates of captions for its labels, see `genzoo.captions`; may be empty."""

    def __init__(self, config: C | None = None, location: str = "") -> None:
        super().__init__(config)
        self.location = location

    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, the training split first."""

    @abc.abstractmethod
    def load(self, split: str) -> Dataset:
        """Return one split, without binarisation.

        Raises:
            DataError: The data are empty, unreadable or malformed.
        """
