"""Few labels among many rows, for semi-supervised learning."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data.dataset import Dataset
from genzoo.errors import DataError

UNKNOWN = -1
"""The label of an unlabelled row."""


class PartlyLabelled(Dataset):
    """Every row without its label, followed by an equal number of labelled rows in turn.

    The first half are all rows with the label −1. The second half repeats the few labelled rows,
    so that on average half of a batch is labelled.

    Arguments:
        dataset: Rows with labels.
        labelled: The indices of the rows whose labels are kept.
    """

    def __init__(self, dataset: Dataset, labelled: Tensor) -> None:
        self.dataset, self.labelled = dataset, labelled
        self.info = dataset.info
        self.name = f"{dataset.name} ({len(labelled)} labels)"

    def __len__(self) -> int:
        """Return twice the number of rows."""
        return 2 * len(self.dataset)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index, num = torch.as_tensor(indices), len(self.dataset)
        again = index >= num
        rows = torch.where(again, self.labelled[(index - num) % len(self.labelled)], index)
        found = self.dataset.batch(rows, generator)
        return {**found, "label": torch.where(again, found["label"], UNKNOWN)}

    def select(self, fields: Collection[str]) -> Dataset:
        """Return the same rows with some of their fields; other fields are not computed."""
        found = copy.copy(self)
        found.dataset = self.dataset.select({*fields, "label"})
        found.info = self.info.only(tuple(found.dataset.info.fields))
        return super(PartlyLabelled, found).select(fields)

    def labels(self) -> Tensor | None:
        """Return the label of every row: −1 for the first half."""
        known, num = self.dataset.labels(), len(self.dataset)
        if known is None:
            return None
        again = self.labelled[torch.arange(num) % len(self.labelled)]
        return torch.cat([torch.full((num,), UNKNOWN), known[again]])

    def needs_workers(self, num_rows: int) -> bool:
        """Whether reading rows is slow; the second half reads rows of the first one again."""
        return self.dataset.needs_workers(min(num_rows, len(self.dataset)))

    def mean(self) -> Tensor | None:
        """Return the mean of all rows, each counted once."""
        return self.dataset.mean()


def keep_labels(dataset: Dataset, num: int, seed: int = 0) -> PartlyLabelled:
    """Keep the labels of ``num`` rows only, balanced over classes, drawn with ``seed``.

    Raises:
        DataError: There are no labels, ``num`` cannot be balanced, or the rows are streamed.
    """
    if dataset.order(seed) is not None:
        raise DataError(
            f"{dataset.name} is streamed, and a choice of {num} labels needs the labels of all "
            "rows. Store −1 for the rows without one."
        )
    label = _labels(dataset)
    if label is None or bool((label == UNKNOWN).all()):
        raise DataError(f"{dataset.name} has no labels, so {num} cannot be kept.")
    classes, counts = torch.unique(label[label != UNKNOWN], return_counts=True)
    each, rest = divmod(num, len(classes))
    fewest = int(counts.min())
    if rest or not 0 < each <= fewest:
        raise DataError(
            f"{num} labels cannot be balanced: {dataset.name} has {len(classes)} "
            f"labels, of at least {fewest} rows each. Give a multiple of {len(classes)}, "
            f"{fewest * len(classes)} at most."
        )
    order = torch.randperm(
        len(label), generator=seeds.generator(seeds.derive_seed("labels", seed))
    )
    drawn = [order[label[order] == one][:each] for one in classes.tolist()]
    kept = PartlyLabelled(dataset, torch.cat(drawn))
    kept.info = kept.info.with_mean(dataset.mean)
    return kept


def _labels(dataset: Dataset) -> Tensor | None:
    """Return the label of every row, reading the rows if necessary; None without labels."""
    known = dataset.labels()
    if known is not None or "label" not in dataset.head(1):
        return known
    blocks = torch.split(torch.arange(len(dataset)), 4096)
    return torch.cat([dataset.batch(rows)["label"] for rows in blocks])
