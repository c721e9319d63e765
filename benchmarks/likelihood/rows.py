"""Rows of zeros and ones, as two grey levels, and with uniform noise for densities."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import genzoo
from genzoo.data import Dataset, subset
from genzoo.data.dataset import TransformedDataset
from genzoo.errors import DataError
from genzoo.spaces import Binary, Space

ROWS_SEED = 0
"""The seed of the choice of the evaluated rows: that of `genzoo.evaluate` by default."""


def source(name: str, seed: int) -> dict[str, Any]:
    """Return the values of `load_dataset` that make zeros and ones: none if the data have them."""
    space = genzoo.load_dataset(name, "test").info["x"]
    if isinstance(space, Binary):
        return {}
    return {"binarize": "static"} | ({"binarize_seed": seed} if seed else {})


@dataclass(frozen=True)
class Data:
    """The data of the table.

    Arguments:
        name: The name or the path of the data.
        values: The values of `load_dataset`, which make zeros and ones of grey levels.
        test: The test rows, zeros and ones.
        grey: The same rows as grey levels in [0, 1]; None if the data are zeros and ones.
        num_rows: The number of rows that are evaluated.
    """

    name: str
    values: dict[str, Any]
    test: Dataset
    grey: Dataset | None
    num_rows: int

    @classmethod
    def load(cls, name: str, seed: int, num_rows: int) -> Data:
        """Load the test rows; grey levels are binarised once, with the level as probability."""
        values = source(name, seed)
        grey = genzoo.load_dataset(name, "test") if values else None
        return cls(name, values, genzoo.load_dataset(name, "test", **values), grey, num_rows)

    def noise_entropy(self) -> Tensor | None:
        """Return Σ_i H(g_i) of the grey levels g of each evaluated row, (N,), in nats.

        Raises:
            DataError: The zeros and ones are not a draw of these grey levels.
        """
        if self.grey is None:
            return None
        x = evaluated(self.test, self.num_rows).flatten(1).double()
        g = evaluated(self.grey, self.num_rows).flatten(1).double()
        if bool(((x == 1) & (g == 0) | (x == 0) & (g == 1)).any()):
            raise DataError(
                f"{self.test.name} is not a draw of the grey levels of {self.grey.name}: a pixel "
                "of the level 0 is 1, or one of the level 1 is 0. Load both from one source."
            )
        each: Tensor = torch.special.entr(g) + torch.special.entr(1 - g)
        return each.sum(1)


def evaluated(data: Dataset, num: int) -> Tensor:
    """Return x of the evaluated rows, those that `genzoo.evaluate` draws of ``num`` rows."""
    chosen = subset(data, num, seed=ROWS_SEED)
    x: Tensor = chosen.head(len(chosen))["x"]
    return x


class InSpace(TransformedDataset):
    """The same rows, described by another space.

    Arguments:
        dataset: The rows.
        space: The space, which holds them too.
    """

    draws = False

    def __init__(self, dataset: Dataset, space: Space) -> None:
        super().__init__(dataset)
        self.name, self.split = f"{dataset.name} as {space}", dataset.split
        self.info = _described(dataset, space)

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return the rows as they are."""
        return batch


class Dequantised(TransformedDataset):
    """(x + u)/2 in [0, 1) for zeros and ones x, with new uniform noise u at each presentation.

    Arguments:
        dataset: The zeros and ones.
        space: The space of the sums, of real numbers or of numbers in [0, 1].
    """

    draws = True

    def __init__(self, dataset: Dataset, space: Space) -> None:
        super().__init__(dataset)
        self.name, self.split = f"{dataset.name} (with uniform noise)", dataset.split
        self.info = _described(dataset, space).with_mean(self.mean())

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return the sums."""
        x = batch["x"]
        return {**batch, "x": (x + torch.rand(x.shape, generator=generator)) / 2}

    def mean(self) -> Tensor | None:
        """Return the mean of the sums."""
        mean = self.dataset.mean()
        return None if mean is None else (mean + 0.5) / 2


def _described(dataset: Dataset, space: Space) -> genzoo.DataInfo:
    info = dataset.info.with_field("x", space)
    return dataclasses.replace(info, range={**info.range, "x": (0.0, 1.0)})
