"""Metric: one way to judge a model on data."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo import seeds
from genzoo.config import Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate
from genzoo.evaluation.conditions import condition_of, lacking_condition
from genzoo.model import GenerativeModel
from genzoo.sampler import Sampler
from genzoo.sampling import block_size

AnyConfig = Config
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Case:
    """What is judged, on what.

    Arguments:
        model: The model, in eval mode.
        data: The rows it is judged on.
        batch: Those rows, at most ``max_examples`` of them, on the CPU.
        generator: Where a metric's randomness comes from, on the model's device.
        seed: The seed of the samples and of the division into halves, which all metrics share.
        sampler: How samples are drawn; the model's own sampler where None.
    """

    model: GenerativeModel
    data: Dataset
    batch: Mapping[str, Any]
    generator: torch.Generator
    seed: int = 0
    sampler: Sampler | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """A random half of the rows: what samples are compared with."""
        return rows_of(self.batch, self._order[: self._half])

    @cached_property
    def held_out(self) -> dict[str, Any]:
        """As many of the other rows: data in the samples' place, which gives a figure's floor."""
        return rows_of(self.batch, self._order[self._half : 2 * self._half])

    @property
    def batch_size(self) -> int:
        """How many samples are drawn at once: with the seed, it decides what they are."""
        return block_size(self.model, max(1, self._half))

    @cached_property
    def samples(self) -> Tensor:
        """As many samples as ``held_out`` has rows, given its conditions, on the CPU.

        Given those of ``reference`` they would be nearer to it than data are, whose conditions
        are others.
        """
        x = self.model.sample(
            self._half,
            condition=condition_of(self.model, self.held_out),
            sampler=self.sampler,
            seed=seeds.derive(self.seed, "samples"),
            batch_size=self.batch_size,
        )
        return x.cpu()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, made once for all metrics that ask for ``key``."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    @property
    def _half(self) -> int:
        return len(self.batch["x"]) // 2

    @cached_property
    def _order(self) -> Tensor:
        generator = seeds.generator(seeds.derive(self.seed, "halves"))
        return torch.randperm(len(self.batch["x"]), generator=generator)


def rows_of(batch: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
    """Return the rows of a batch at ``index`` (N,), in that order."""
    return {
        key: values[index] if isinstance(values, Tensor) else [values[i] for i in index.tolist()]
        for key, values in batch.items()
    }


class Metric(abc.ABC):
    """A figure, or several, that say how good a model is; abstract.

    Class attributes:
        Config: The metric's own frozen dataclass.
        requires: The capabilities that a model must have for it.
        kinds: The kinds of data it makes sense for; None for all.
        least: The fewest rows that it can be had from.
        conditioned: Whether it gives the model the conditions of the rows, which the data must
            have then.
        default: Whether it is judged where no metrics are named.

    Arguments:
        config: The metric's values.
    """

    Config: ClassVar[type[Config]]
    requires: ClassVar[tuple[type, ...]] = ()
    kinds: ClassVar[frozenset[str] | None] = None
    least: ClassVar[int] = 1
    conditioned: ClassVar[bool] = True
    default: ClassVar[bool] = True

    def __init__(self, config: AnyConfig | None = None) -> None:
        self.config: Any = self.Config() if config is None else config

    def missing(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the metric cannot be had of a model on data; empty where it can."""
        lacking = [needed.__name__ for needed in self.requires if not isinstance(model, needed)]
        if lacking:
            return f"the model lacks {', '.join(lacking)}"
        if self.kinds is not None and data.spec.kind not in self.kinds:
            return f"it is for {', '.join(sorted(self.kinds))} data, not {data.spec.kind}"
        if len(data) < self.least:
            return f"it needs {self.least} rows or more; {data.name} has {len(data)}"
        return lacking_condition(model, data.head(1)) if self.conditioned else ""

    @abc.abstractmethod
    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the figures by name."""
