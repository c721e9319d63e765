"""Two domains in one dataset: rows of x and of y that need not correspond."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo.data.dataset import Dataset
from genzoo.errors import DataError
from genzoo.means import Means
from genzoo.spec import DataInfo

_SECOND = {"x": "y", "label": "y_label", "text": "y_text"}


class TwoDomains(Dataset):
    """Rows of two datasets: a batch has ``"x"`` from one and ``"y"`` from the other.

    Row i is row i of both, up to the end of the shorter one. This is meaningful if the two are
    aligned, as test sets may be. Training draws each domain independently: every row once per
    epoch of its domain.

    ``"label"`` and ``"text"`` belong to x; those of the second domain are ``"y_label"`` and
    ``"y_text"``.

    | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
    | (Zhu, Park, Isola, Efros, 2017)

    Arguments:
        x: The rows of the first domain.
        y: The rows of the second domain, of any shape.
        aligned: Whether row i of y is the true translation of row i of x, for evaluation. Training
            does not use it.

    Raises:
        DataError: One of them already has two domains.
    """

    def __init__(self, x: Dataset, y: Dataset, *, aligned: bool = False) -> None:
        for part in (x, y):
            if isinstance(part, TwoDomains):
                raise DataError(
                    f"{part.name} already has two domains. Leave the other one (--data-y) out, "
                    "or name data of one domain each."
                )
        self.x, self.y = x, y
        self.name = f"{x.name} | {y.name}"
        self.info = _both(x.info, y.info, aligned)
        self.split = x.split
        self.notes = (*x.notes, *y.notes)

    def __len__(self) -> int:
        """Return the number of rows of the shorter domain."""
        return min(len(self.x), len(self.y))

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows of both domains at ``indices``."""
        second = of_second(self.y.batch(indices, generator))
        return {**self.x.batch(indices, generator), **second}

    def select(self, fields: Collection[str]) -> Dataset:
        """Return both domains with some of their fields; only x if there are none of y."""
        x, second = self.x.select(fields), set(fields) & set(_SECOND.values())
        if not second:
            return x
        y = self.y.select([name for name, other in _SECOND.items() if other in second])
        return TwoDomains(x, y, aligned=self.info.aligned)

    def domains(self) -> dict[str, Dataset]:
        """Return the two datasets by the keys of their rows in a batch."""
        return {"x": self.x, "y": self.y}

    def labels(self) -> Tensor | None:
        """Return the label of every row, which is that of x."""
        found = self.x.labels()
        return None if found is None else found[: len(self)]

    def needs_workers(self, num_rows: int) -> bool:
        """Whether reading the rows of a domain is slow; training reads all rows of both."""
        return any(data.needs_workers(len(data)) for data in (self.x, self.y))

    def mean(self) -> Tensor | None:
        """Return the mean row of x."""
        return self.x.mean()


def _both(x: DataInfo, y: DataInfo, aligned: bool) -> DataInfo:
    """Return the info of two domains; the field x of the second one becomes y."""

    def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
        return {**first, **of_second(second)}

    return DataInfo(
        fields=joined(x.fields, y.fields),
        mean=joined(Means(x.mean).entries, Means(y.mean).entries),
        range=joined(x.range, y.range),
        mixture=joined(x.mixture, y.mixture),
        aligned=aligned,
    )


def of_second(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the fields of facts about data for a second domain."""
    return {_SECOND[name]: value for name, value in fields.items() if name in _SECOND}


def named_parts(data: Dataset) -> tuple[Dataset, Dataset | None]:
    """Return the components of data for a recipe: one, or both domains if the pair has no name."""
    if isinstance(data, TwoDomains) and data.origin is None:
        return data.x, data.y
    return data, None
