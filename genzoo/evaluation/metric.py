"""Metric: a measure of a model on data."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from genzoo import process_group, seeds
from genzoo.capabilities import lacking
from genzoo.component import Configured
from genzoo.config import C
from genzoo.data.dataset import Dataset
from genzoo.data.subsets import Subset, stratified
from genzoo.estimate import Estimate
from genzoo.fitting import titles
from genzoo.goal import Goal
from genzoo.latents import code_vectors
from genzoo.model import Model
from genzoo.sampler import Sampler
from genzoo.sampling import block_size
from genzoo.spaces import Space
from genzoo.spec import DataInfo

T = TypeVar("T")
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Case:
    """A model and the data to evaluate it on.

    Arguments:
        model: The model, in eval mode.
        data: The evaluated rows, and those beyond ``max_examples``.
        batch: The evaluated rows, at most ``max_examples``, on the CPU.
        generator: The generator of a metric, on the model's device.
        seed: The seed of the samples and of the division into halves, which all metrics share.
        sampler: The sampler; the model's default sampler if None.
        part: The indices of the rows of ``batch`` in ``data``; None for all.
    """

    model: Model
    data: Dataset
    batch: Mapping[str, Any]
    generator: torch.Generator
    seed: int = 0
    sampler: Sampler | None = None
    part: Dataset | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """A random half of the rows, to compare samples with."""
        return rows_of(self.batch, self._order[: self._half])

    @cached_property
    def held_out(self) -> dict[str, Any]:
        """An equal number of other rows: data in place of samples, for references."""
        return rows_of(self.batch, self._order[self._half : 2 * self._half])

    @property
    def batch_size(self) -> int:
        """The block size of samples; with the seed it determines the samples."""
        return block_size(self.model, max(1, self._half))

    @cached_property
    def samples(self) -> Tensor:
        """One sample for each row of ``held_out``, given its conditions, on the CPU.

        With the conditions of ``reference``, samples would be nearer to it than data, whose
        conditions differ.
        """
        return self.drawn_for(self.held_out, "samples", self.batch_size)

    def drawn_for(self, rows: Mapping[str, Any], stream: str, batch_size: int) -> Tensor:
        """Return a sample for each row, given its conditions, on the CPU.

        Arguments:
            rows: The rows.
            stream: The name of the random stream, which the seed is derived from.
            batch_size: The block size.
        """
        x = self.model.sample(
            len(rows["x"]),
            condition=self.model.conditions_of(rows),
            sampler=self.sampler,
            seed=seeds.derive_seed(self.seed, stream),
            batch_size=batch_size,
        )
        return x.cpu()

    @property
    def judged(self) -> Dataset:
        """The evaluated rows: all of the data, or a part."""
        return self.data if self.part is None else self.part

    @property
    def has_samples(self) -> bool:
        """Whether the samples have already been drawn."""
        return "samples" in self.__dict__

    def rows(self, num: int) -> dict[str, Any]:
        """Return ``num`` rows: all as often as they fit, then a representative part."""
        whole, rest = divmod(num, len(self.batch["x"]))
        every = torch.arange(len(self.batch["x"])).repeat(whole)
        generator = seeds.generator(seeds.derive_seed(self.seed, "rows"))
        part = stratified(self.batch.get("label"), len(self.batch["x"]), rest, generator)
        return rows_of(self.batch, torch.cat([every, part]))

    def unused_rows(self, num: int) -> dict[str, Any] | None:
        """Return a seeded draw of ``num`` rows that are not evaluated; None if there are fewer."""
        if not isinstance(self.judged, Subset):
            return None
        left = torch.ones(len(self.data), dtype=torch.bool)
        left[self.judged.rows] = False
        rows = left.nonzero().flatten()
        if len(rows) < num:
            return None
        generator = seeds.generator(seeds.derive_seed(self.seed, "others"))
        chosen = rows[torch.randperm(len(rows), generator=generator)[:num]]
        return self.data.batch(chosen, generator)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of ``make``, computed once for all metrics that use ``key``."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    @property
    def _half(self) -> int:
        return len(self.batch["x"]) // 2

    @cached_property
    def _order(self) -> Tensor:
        generator = seeds.generator(seeds.derive_seed(self.seed, "halves"))
        return torch.randperm(len(self.batch["x"]), generator=generator)


def rows_of(batch: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
    """Return the rows of a batch at ``index`` (N,), in that order."""
    return {
        key: values[index] if isinstance(values, Tensor) else [values[i] for i in index.tolist()]
        for key, values in batch.items()
    }


def codes_of(case: Case) -> Tensor:
    """Return the codes of a case's rows, flattened, (N, D) on the CPU."""
    model: Any = case.model
    codes = map_rows(case, lambda x, condition: model.encode(x, condition=condition).cpu())
    return code_vectors(torch.cat(codes), model.codes)


def map_rows(case: Case, function: Callable[[Tensor, dict[str, Any]], Tensor]) -> list[Tensor]:
    """Return a function of the case's rows, block by block.

    Arguments:
        case: The case.
        function: A function of rows (B, *event_shape) and their conditions, on the model's device,
            which depends on nothing else and returns tensors on the CPU.
    """
    indices = torch.split(torch.arange(len(case.batch["x"])), _BLOCK)
    model = case.model
    place = model.device, model.dtype

    def block(k: int) -> Tensor:
        rows = rows_of(case.batch, indices[k])
        condition = {
            name: model.conditions[name].place(values, *place)
            for name, values in model.conditions_of(rows).items()
        }
        return function(model.event.place(rows["x"], *place), condition)

    return process_group.map_blocks(block, len(indices))


def lacking_condition(model: Model, batch: Mapping[str, Any]) -> str:
    """Return the condition that a batch lacks; empty if it has all that the model needs."""
    lacking = [name for name in model.conditions if name not in batch]
    if not lacking:
        return ""
    return f"it is conditioned on {lacking[0]}; the data have none (no {lacking[0]!r} in a batch)"


def with_conditions(model: Model, info: DataInfo) -> DataInfo:
    """Return the info of data as if they had all conditions of the model.

    Some metrics do not need conditions; the others say what they lack. Both domains must exist.
    """
    conditions = {
        name: space for name, space in model.conditions.items() if name not in ("x", "y")
    }
    return replace(info, fields={**info.fields, **conditions, **info.fields})


class Metric(Configured[C]):
    """Abstract base class of metrics: one or more figures of a model on data.

    Class attributes:
        requires: The capabilities that a model must have.
        spaces: The classes of `Space` of the data that it applies to; None for all.
        min_examples: The minimum number of rows.
        needs_condition: The condition that a model must have for it; empty for none.
        uses_conditions: Whether it passes the conditions of the rows to the model, which the data
            must then have.
        is_default: Whether it is computed if no metrics are named.
        defining_fields: The fields of its config that define what is measured, such as an
            extractor.
        effort_fields: The fields of its config whose larger values are better, such as a number of
            draws.
        goals: Which way each figure is good, and its best value. The keys are the names of
            figures; a name without its part in brackets stands for all of them, and "*" for all
            other figures. A figure without a goal is shown as not declared.

    Arguments:
        config: An instance of the metric's ``Config``.
    """

    requires: ClassVar[tuple[type, ...]] = ()
    spaces: ClassVar[tuple[type[Space], ...] | None] = None
    min_examples: ClassVar[int] = 1
    needs_condition: ClassVar[str] = ""
    uses_conditions: ClassVar[bool] = True
    is_default: ClassVar[bool] = True
    defining_fields: ClassVar[tuple[str, ...]] = ()
    effort_fields: ClassVar[tuple[str, ...]] = ()
    goals: ClassVar[Mapping[str, Goal]] = {}

    @classmethod
    def goal_of(cls, figure: str) -> Goal | None:
        """Return which way a figure of this metric is good; None if it does not declare it."""
        keys = (figure, figure.partition("[")[0], "*")
        return next((cls.goals[key] for key in keys if key in cls.goals), None)

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the metric does not apply to a model or to data; empty if it does."""
        if self.needs_condition and self.needs_condition not in model.conditions:
            return f"the model is not conditioned on a {self.needs_condition}"
        if reason := lacking(model, self.requires):
            return reason
        space = data.info["x"]
        if self.spaces is not None and not isinstance(space, self.spaces):
            return f"it is for {titles(self.spaces)} data, not {titles([type(space)])}"
        return ""

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the metric cannot be computed for a model on data; empty if it can."""
        if reason := self.inapplicable_reason(model, data):
            return reason
        if len(data) < self.min_examples:
            return f"at least {self.min_examples} rows are needed; there are {len(data)}"
        return lacking_condition(model, data.head(1)) if self.uses_conditions else ""

    def verification_config(self, model: Model) -> C:
        """Return a config to verify figures of this one with, no weaker than the defaults.

        Fields that define what is measured stay, fields of effort are raised to their defaults,
        and all others get their defaults.
        """
        default: Any = self.Config()
        kept = {name: getattr(self.config, name) for name in self.defining_fields}
        raised = {
            name: max(getattr(self.config, name), getattr(default, name))
            for name in self.effort_fields
        }
        found: C = replace(default, **kept, **raised)
        return found

    @abc.abstractmethod
    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the figures by name."""
