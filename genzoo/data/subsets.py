"""Representative parts of the rows: seeded draws, stratified by label.

The first rows are not representative: in a folder that is sorted by class, they are one class.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.data.dataset import Dataset, mean_of_rows
from genzoo.data.domains import TwoDomains
from genzoo.permutation import MAX_LISTED, Permutation

How = Literal["stratified by label", "random", "among the first rows"]


def stratified(
    label: Tensor | None, num_rows: int, num: int, generator: torch.Generator
) -> Tensor:
    """Draw row indices without replacement, in proportion to the labels, in random order.

    For a label with N_l of the N rows, ⌊n N_l / N⌋ or ⌈n N_l / N⌉ rows are drawn. The choice is
    random such that every row is drawn with the same probability n / N. The order is random, so
    that each part of the result is representative too.

    | On the Theory of Systematic Sampling, II (Madow, 1949), with labels in random order

    Arguments:
        label: The label of each row, (N,) int64; rows with the label −1 are one stratum. None
            draws uniformly from all rows.
        num_rows: N.
        num: n, at most N.
        generator: The generator, on the CPU.

    Returns:
        n row indices, int64.
    """
    if label is None and num_rows > MAX_LISTED:
        seed = int(torch.randint(2**63 - 1, (1,), generator=generator))
        return Permutation(num_rows, seed)(torch.arange(num))
    order = torch.randperm(num_rows, generator=generator)
    if label is None:
        return order[:num].clone()  # A view would keep all N in memory.
    by_label, place = torch.sort(label[order], stable=True)
    sizes = torch.unique_consecutive(by_label, return_counts=True)[1]
    shares = _shares(sizes, num, generator)
    skipped = (sizes.cumsum(0) - sizes) - (shares.cumsum(0) - shares)
    chosen = torch.arange(num) + skipped.repeat_interleave(shares)
    return order[place[chosen]][torch.randperm(num, generator=generator)]


def _shares(sizes: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Return how many of ``num`` rows each stratum gets, (S,), in integer arithmetic.

    The strata lie side by side on a line of length n; those that hold one of the points u, u + 1,
    … get a row for each, with one random u for all.
    """
    order = torch.randperm(len(sizes), generator=generator)
    total = int(sizes.sum())
    u = torch.randint(total, (1,), generator=generator)
    ends = (num * sizes[order].cumsum(0) + u) // total
    return torch.empty_like(sizes).index_copy_(0, order, ends.diff(prepend=ends.new_zeros(1)))


class Subset(Dataset):
    """Some rows of another dataset.

    Arguments:
        dataset: The other dataset.
        rows: The indices in order, (n,) int64.
        seed: The seed of the draw.
        how: How they were drawn.
    """

    def __init__(self, dataset: Dataset, rows: Tensor, seed: int, how: How) -> None:
        self.dataset, self.rows, self.how = dataset, rows, how
        self.info, self.split = dataset.info, dataset.split
        self.name = f"{dataset.name} ({len(rows)} of {len(dataset)} rows, seed {seed})"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def batch(
        self, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        return self.dataset.batch(self.rows[torch.as_tensor(indices)], generator)

    @property
    def draws(self) -> bool:
        """Whether reading rows of the other dataset draws random numbers."""
        return self.dataset.draws

    def select(self, fields: Collection[str]) -> Dataset:
        """Return the same rows with some of their fields; other fields are not computed."""
        found = copy.copy(self)
        found.dataset = self.dataset.select(fields)
        found.info = self.info.only(tuple(found.dataset.info.fields))
        return found

    def labels(self) -> Tensor | None:
        """Return the label of every row, if they are known."""
        found = self.dataset.labels()
        return None if found is None else found[self.rows]

    def needs_workers(self, num_rows: int) -> bool:
        """Whether reading this many of the rows is slow."""
        return self.dataset.needs_workers(num_rows)

    def mean(self) -> Tensor | None:
        """Return the mean row."""
        return None if self.dataset.mean() is None else mean_of_rows(self)


def subset(dataset: Dataset, num: int, *, seed: int = 0, key: str = "") -> Dataset:
    """Return ``num`` representative rows; the dataset itself if it has no more.

    They are drawn without replacement and come in random order. If `Dataset.labels` are known, the
    draw is `stratified` by label. Those of a stream are drawn from its first shards. The two rows
    of aligned domains stay together, stratified by the labels of x; other domains are drawn
    independently.

    Arguments:
        dataset: The rows.
        num: The number of rows.
        seed: The seed of the draw.
        key: The name of this draw among others with the same seed.

    >>> from genzoo.data import load_dataset
    >>> some = subset(load_dataset("digits", "test"), 100, seed=1)
    >>> len(some), some.name
    (100, 'digits/test (100 of 297 rows, seed 1)')
    """
    if isinstance(dataset, TwoDomains) and not dataset.info.aligned:
        num = min(num, len(dataset))
        both = [subset(d, num, seed=seed, key=f"{key}{k}") for k, d in dataset.domains().items()]
        return TwoDomains(*both)
    if num >= len(dataset):
        return dataset
    derived = seeds.derive_seed("subset", seed, key)
    if (drawn := dataset.draw(num, derived)) is not None:
        return Subset(dataset, drawn, seed, "among the first rows")
    label = dataset.labels()
    how: How = "random" if label is None else "stratified by label"
    generator = seeds.generator(derived)
    rows = stratified(label, len(dataset), num, generator)
    if isinstance(dataset, TwoDomains):
        parts = [Subset(d, rows, seed, how) for d in dataset.domains().values()]
        return TwoDomains(*parts, aligned=True)
    return Subset(dataset, rows, seed, how)


def draw_rows(dataset: Dataset, num: int, *, seed: int = 0) -> dict[str, Any]:
    """Return a `subset` as one batch; if there are no more rows, all in their original order."""
    drawn = subset(dataset, num, seed=seed)
    return drawn.head(len(drawn), seed=seed)
