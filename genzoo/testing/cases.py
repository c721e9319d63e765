"""The arguments of checks: a model's class, its example and its stages."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import registry, seeds
from genzoo.capabilities import SupportsDataInit
from genzoo.conditions import spread
from genzoo.data.dataset import Dataset
from genzoo.errors import GenzooError
from genzoo.evaluation.metric import rows_of
from genzoo.meta_init import build_empty
from genzoo.objective import Objective
from genzoo.pretrained import GenerativeModel
from genzoo.spaces import Label, Real, Space, Text, Unit
from genzoo.spec import Batch, DataInfo
from genzoo.stage import Stage, stage_for
from genzoo.training.stage_scope import model_of

SEED = 0


class CheckFailed(GenzooError):
    """A model failed a check; the message says why."""


class NotApplicable(Exception):
    """A check does not apply to this model; the message says why."""


class ExampleData(Dataset):
    """The rows of a model's example as a dataset.

    Arguments:
        batch: The example's batch.
        info: Its description.
    """

    def __init__(self, batch: Batch, info: DataInfo) -> None:
        self.rows, self.info, self.name = batch, info, "example"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.rows.values())))

    def batch(self, indices: Any, generator: torch.Generator | None = None) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        return rows_of(self.rows, torch.as_tensor(indices))


@dataclass(frozen=True)
class Case:
    """One model under test.

    Arguments:
        name: Its registered name.
        cls: Its class.
    """

    name: str
    cls: type[GenerativeModel]

    def model(self, seed: int = SEED) -> GenerativeModel:
        """Return a new model with the example's config, initialised from ``seed`` and its data."""
        config, batch = self.cls.example()
        with seeded(seed):
            model = self.cls(config)
        if isinstance(model, SupportsDataInit) and model.needs_data_init():
            model.init_from_data(batch, self.data().info)
        return model

    def data(self) -> ExampleData:
        """Return the example's rows as data, with the spaces of its config."""
        _, batch = self.cls.example()
        fields = {name: self._spaces.get(name) or _space_of(rows) for name, rows in batch.items()}
        real = {k: v for k, v in batch.items() if isinstance(v, Tensor) and v.is_floating_point()}
        mean = {name: rows.float().mean(0) for name, rows in real.items()}
        return ExampleData(batch, DataInfo(fields=fields, mean=mean))

    @functools.cached_property
    def _spaces(self) -> dict[str, Space]:
        """The spaces of the event and the conditions; a check asks for its data many times."""
        model = build_empty(self.cls, self.cls.example()[0], max_tensors=100_000)
        return {self.cls.event_field: model.event, **model.conditions}

    def event_rows(self) -> Any:
        """Return the rows of the example's event."""
        return self.batch()[self.cls.event_field]

    def stages(self) -> tuple[Stage, ...]:
        """Return the model's stages, and one for every other objective that accepts it."""
        own = self.cls.default_stages(self.cls.example()[0])
        known = {stage.objective.name for stage in own}
        others = [name for name in registry.names("objectives") if name not in known]
        model = self.model()
        fitting = [name for name in others if self._takes(name, model)]
        return (*own, *(stage_for(name, own) for name in fitting))

    def objective(self, stage: Stage, model: GenerativeModel) -> Objective:
        """Return the objective of a stage for ``model``, or for a nested one."""
        learning = model_of(stage, model)
        with seeded(SEED):
            objective: Objective = registry.make("objectives", stage.objective, learning)
        return objective

    def condition(self, model: GenerativeModel, num: int | None = None) -> dict[str, Any]:
        """Return ``num`` rows of each condition of the example; of all rows if None."""
        data = self.data()
        num = len(data) if num is None else num
        rows = data.batch([i % len(data) for i in range(num)])
        return spread(model, model.conditions_of(rows), num)

    def batch(self) -> dict[str, Any]:
        """Return all of the example's rows."""
        data = self.data()
        return data.batch(range(len(data)))

    def _takes(self, objective: str, model: GenerativeModel) -> bool:
        """Whether an objective accepts the model; a broken one of another plugin does not."""
        ours = registry.distribution_of("models", self.name)
        try:
            needed = registry.load("objectives", objective).requires
        except (Exception, SystemExit):
            if registry.distribution_of("objectives", objective) == ours:
                raise
            return False
        return bool(needed) and all(isinstance(model, kind) for kind in needed)


def _space_of(rows: Any) -> Space:
    """Return the space of a field that only an objective reads."""
    if not isinstance(rows, Tensor):
        return Text()
    if rows.ndim == 1 and not rows.is_floating_point():
        return Label(num_classes=max(1, int(rows.max()) + 1))
    unit = bool(((rows >= 0) & (rows <= 1)).all())
    return (Unit if unit else Real)(shape=tuple(rows.shape[1:]))


def cases() -> list[Case]:
    """Return a case for every registered model."""
    return [Case(name, registry.load("models", name)) for name in registry.names("models")]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the default generators, and restore them afterwards."""
    with torch.random.fork_rng(devices=[]):
        seeds.seed_defaults(seed, torch.device("cpu"))
        yield


def demand(condition: bool, message: str) -> None:
    """Raise `CheckFailed` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def demand_close(a: Tensor, b: Tensor, message: str) -> None:
    """Raise `CheckFailed` unless two tensors are equal up to rounding in float32."""
    demand(torch.allclose(a, b, rtol=1e-4, atol=1e-5), message)


def demand_equal(a: dict[str, Any], b: dict[str, Any], when: str) -> None:
    """Raise `CheckFailed` unless the tensors are bit-equal."""
    names = equal_states(a, b)
    demand(not names, f"Not bit-equal {when}: {', '.join(names[:5])}.")


def equal_states(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of tensors that are not bit-equal, or only in one of the two."""
    names = sorted(a.keys() | b.keys())
    return [n for n in names if n not in a or n not in b or not torch.equal(a[n], b[n])]
