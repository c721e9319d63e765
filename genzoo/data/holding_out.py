"""Held-out rows: a share of the training split that training does not see."""

from __future__ import annotations

import torch

from genzoo import seeds
from genzoo.data.dataset import Dataset, DataSource
from genzoo.data.domains import TwoDomains
from genzoo.data.subsets import How, Subset, stratified
from genzoo.errors import DataError, counted

HELD_OUT = "held-out"
"""The name of the split of held-out rows."""


def splits_of(source: DataSource) -> tuple[str, ...]:
    """Return the splits of a source, with that of the held-out rows if there are any."""
    return (*source.splits(), *([HELD_OUT] if source.config.valid_fraction else []))


def load_part(source: DataSource, split: str) -> Dataset:
    """Load a split; the training split has no held-out rows.

    Raises:
        DataError: The data are empty, unreadable or malformed; or no row would be left.
    """
    fraction = source.config.valid_fraction
    # To ask a source of the Hub for its splits is a request.
    train = source.splits()[0] if fraction else split
    if not fraction or split not in (train, HELD_OUT):
        return source.load(split)
    every = source.load(train)
    parts = hold_out(every, fraction, source.config.valid_seed)
    found = parts[split == HELD_OUT]
    found.notes = every.notes
    return found


def hold_out(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return the other rows, in their order, and the held-out ones, in random order.

    Arguments:
        dataset: The rows. Two domains that are not aligned are divided independently.
        fraction: The share that is held out, in proportion to the labels if they are known.
        seed: The seed of the choice.

    Raises:
        DataError: No row would be left, or none would be held out.
    """
    if isinstance(dataset, TwoDomains) and not dataset.info.aligned:
        x = hold_out(dataset.x, fraction, seed)
        y = hold_out(dataset.y, fraction, seeds.derive_seed("second domain", seed))
        return TwoDomains(x[0], y[0]), TwoDomains(x[1], y[1])
    num, label = round(fraction * len(dataset)), dataset.labels()
    if not 0 < num < len(dataset):
        raise DataError(
            f"{dataset.name} has {counted(len(dataset), 'row')}, so a share of {fraction:g} holds "
            f"{num} of them out. Give another --data.valid-fraction, or more rows."
        )
    generator = seeds.generator(seeds.derive_seed("held-out", seed))
    held = stratified(label, len(dataset), num, generator)
    kept = torch.ones(len(dataset), dtype=torch.bool)
    kept[held] = False
    how: How = "random" if label is None else "stratified by label"
    rest = kept.nonzero().flatten()
    return _part(dataset, rest, seed, how), _part(dataset, held, seed, how)


def _part(dataset: Dataset, rows: torch.Tensor, seed: int, how: How) -> Dataset:
    if isinstance(dataset, TwoDomains):
        return TwoDomains(
            *(Subset(d, rows, seed, how) for d in dataset.domains().values()), aligned=True
        )
    return Subset(dataset, rows, seed, how)
