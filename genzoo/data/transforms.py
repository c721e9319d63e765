"""Transforms of every source's rows: a part of them, binarisation, levels, another space."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genzoo import registry, seeds
from genzoo.data.arrays.reading import space_named
from genzoo.data.config import Binarize, DataConfig
from genzoo.data.dataset import ArrayDataset, Dataset, TransformedDataset, mean_of_rows
from genzoo.data.domains import TwoDomains
from genzoo.data.subsets import Subset, subset
from genzoo.errors import DataError
from genzoo.spaces import Space
from genzoo.spec import DataInfo

_BLOCK = 64


def prepare(dataset: Dataset, config: DataConfig, key: str = "") -> Dataset:
    """Apply the transforms of a `DataConfig` to loaded rows, or to both domains.

    Arguments:
        dataset: The rows.
        config: The transforms.
        key: A name of the rows, so that two sets of one size do not get the same draw.

    Raises:
        DataError: The rows cannot be binarised or rounded because they are not in [0, 1].
    """
    if isinstance(dataset, TwoDomains) and not dataset.info.aligned:
        return TwoDomains(*_each(dataset, config, key))
    if config.limit is not None:
        dataset = subset(dataset, config.limit, seed=config.limit_seed, key=key)
    if isinstance(dataset, TwoDomains):
        unlimited = dataclasses.replace(config, limit=None)
        return TwoDomains(*_each(dataset, unlimited, key), aligned=True)
    # Rows that were read in this space are binarised or rounded, but not converted back to it.
    done = config.space is not None and isinstance(dataset.info["x"], space_named(config.space))
    changed = _rounded(_binarized(dataset, config), config.levels)
    return _written(changed, None if done else config.space)


def _written(dataset: Dataset, name: str | None) -> Dataset:
    """Return rows in the space with a name; unchanged if it is None or already theirs."""
    if name is None or isinstance(dataset.info["x"], space_named(name)):
        return dataset
    try:
        return Rewritten(dataset, *dataset.info["x"].into(name))
    except DataError as error:
        raise DataError(f"{dataset.name}: {error} Leave --data.space out.") from error


class Rewritten(TransformedDataset):
    """Rows converted to another space, such as grey levels as categories.

    Arguments:
        dataset: The rows.
        space: The other space.
        rewrite: Converts rows to that space.
    """

    def __init__(self, dataset: Dataset, space: Space, rewrite: Callable[[Any], Any]) -> None:
        super().__init__(dataset)
        self.rewrite = rewrite
        title = registry.name_of("spaces", type(space))
        self.name = f"{dataset.name} (as {title})"
        info = dataset.info.with_field("x", space).with_mean(None)
        self.info = dataclasses.replace(info, range={})

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return rows in the other space."""
        return {**batch, "x": self.rewrite(batch["x"])}

    def mean(self) -> Tensor | None:
        """Return the mean row; None for categories."""
        return mean_of_rows(self) if self.info["x"].dtype.is_floating_point else None


def _rounded(dataset: Dataset, levels: int | None) -> Dataset:
    """Return rows at equally spaced levels; unchanged if ``levels`` is None."""
    if levels is None:
        return dataset
    try:
        return Rounded(dataset, *dataset.info["x"].rounded(levels))
    except DataError as error:
        raise DataError(
            f"{dataset.name}: {error} Leave --data.levels out, or give values in [0, 1] with more "
            "levels."
        ) from error


class Rounded(TransformedDataset):
    """Rows rounded to equally spaced levels.

    Arguments:
        dataset: The rows.
        space: The space of the rounded rows.
        round_: Rounds rows.
    """

    def __init__(self, dataset: Dataset, space: Space, round_: Callable[[Any], Any]) -> None:
        super().__init__(dataset)
        self.round = round_
        self.name = f"{dataset.name} ({space.num_values} levels)"
        self.info = dataset.info.with_field("x", space).with_mean(None)

    @property
    def draws(self) -> bool:
        """Whether the other dataset draws random numbers."""
        return self.dataset.draws

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return the rounded rows."""
        return {**batch, "x": self.round(batch["x"])}

    def mean(self) -> Tensor | None:
        """Return the mean row; None if that of the other dataset is unknown."""
        return None if self.dataset.mean() is None else mean_of_rows(self)


def _each(both: TwoDomains, config: DataConfig, key: str) -> list[Dataset]:
    return [prepare(data, config, f"{key} {name}") for name, data in both.domains().items()]


def _binarized(dataset: Dataset, config: DataConfig) -> Dataset:
    if config.binarize is None:
        return dataset
    if _binary(dataset)["x"] == dataset.info["x"]:
        return dataset
    if config.binarize == "static":
        whole = dataset.dataset.name if isinstance(dataset, Subset) else dataset.name
        seed = seeds.derive_seed("static binarisation", config.binarize_seed, whole)
        return _static(dataset, seed, config.binarize_seed)
    return Binarized(dataset, config.binarize)


class Binarized(TransformedDataset):
    """Binarised rows, by draws or by the threshold 0.5 at each presentation.

    Arguments:
        dataset: Rows in [0, 1].
        how: "dynamic" or "threshold".
    """

    def __init__(self, dataset: Dataset, how: Binarize) -> None:
        super().__init__(dataset)
        self.how = how
        self.name = f"{dataset.name} ({how} binarisation)"
        self.info = _binary(dataset)

    @property
    def draws(self) -> bool:
        """Whether the binarisation or the other dataset draws random numbers."""
        return self.how == "dynamic" or self.dataset.draws

    def transform(
        self, batch: dict[str, Any], generator: torch.Generator | None
    ) -> dict[str, Any]:
        """Return rows as zeros and ones."""
        cut = torch.rand(batch["x"].shape, generator=generator) if self.how == "dynamic" else 0.5
        return {**batch, "x": (batch["x"] > cut).float()}

    def mean(self) -> Tensor | None:
        """Return the mean row; for dynamic binarisation, its expectation."""
        inner = self.dataset.mean()
        return inner if inner is None or self.how == "dynamic" else mean_of_rows(self)


def _binary(dataset: Dataset) -> DataInfo:
    """Return the info of grey data after binarisation.

    Raises:
        DataError: They are not in [0, 1].
    """
    try:
        space, _ = dataset.info["x"].into("binary")
    except DataError as error:
        if not dataset.info["x"].dtype.is_floating_point:
            raise DataError(f"{dataset.name}: {error} Leave --data.binarize out.") from error
        low, high = dataset.info.range.get("x", (-math.inf, math.inf))
        remedy = (
            f"Divide by {high:g}? Give --data.scale {high:g}." if low >= 0 else "Rescale them."
        )
        raise DataError(
            f"{dataset.name} cannot be binarised: its values are in [{low:g}, {high:g}], not in "
            f"[0, 1]. {remedy}"
        ) from error
    info = dataset.info.with_field("x", space)
    return dataclasses.replace(info, range={**info.range, "x": (0.0, 1.0)})


def _static(dataset: Dataset, seed: int, given: int) -> ArrayDataset:
    """Draw every row once and keep the draws; a row's draw depends only on its index.

    The index is that among all rows, also for a part of them, so a limit does not change the
    draws.
    """
    place = dataset.rows if isinstance(dataset, Subset) else torch.arange(len(dataset))
    x = torch.empty(len(dataset), *dataset.info["x"].event_shape, dtype=torch.uint8)
    found: dict[str, list[Any]] = {}
    order, sizes = _blocks(place)
    for rows in torch.split(order, sizes):
        batch = dataset.batch(rows)
        generator = seeds.generator(seeds.derive_seed(seed, int(place[rows[0]]) // _BLOCK))
        cut = torch.rand(_BLOCK, *dataset.info["x"].event_shape, generator=generator)
        x[rows] = (batch.pop("x") > cut[place[rows] % _BLOCK]).to(torch.uint8)
        for key, values in batch.items():
            found.setdefault(key, []).append(values)
    columns = _in_order(found, order.argsort())
    label, text, info = columns.pop("label", None), columns.pop("text", None), _binary(dataset)
    # The seed of a chosen draw is named, because the best of many draws is another test set.
    chosen = f", seed {given}" if given else ""
    name = f"{dataset.name} (static binarisation{chosen})"
    return ArrayDataset(x, info, name, label, text=text, columns=columns)


def _blocks(place: Tensor) -> tuple[Tensor, list[int]]:
    """Return rows in the order of their indices, and the number in each block of indices."""
    places, order = place.sort()
    return order, torch.unique_consecutive(places // _BLOCK, return_counts=True)[1].tolist()


def _in_order(found: dict[str, list[Any]], index: Tensor) -> dict[str, Any]:
    """Return the columns of all blocks, the rows at ``index``."""
    columns: dict[str, Any] = {}
    for key, blocks in found.items():
        if isinstance(blocks[0], Tensor):
            columns[key] = torch.cat(blocks)[index]
        else:
            values = [value for block in blocks for value in block]
            columns[key] = [values[i] for i in index.tolist()]
    return columns
