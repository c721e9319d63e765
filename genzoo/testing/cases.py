"""What a check is given: a model's class, its example, and one of its stages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo import registry, seeds
from genzoo.capabilities import SupportsDataInit
from genzoo.data.dataset import Dataset
from genzoo.model import GenerativeModel
from genzoo.objective import Objective
from genzoo.sampling import spread_condition
from genzoo.spec import Batch, DataSpec
from genzoo.stage import Stage

SEED = 0


class CheckFailed(Exception):
    """A model broke a rule; the message says which, and how."""


class ExampleData(Dataset):
    """The rows of a model's example as a dataset.

    Arguments:
        batch: The example's batch.
        spec: What its rows are.
    """

    def __init__(self, batch: Batch, spec: DataSpec) -> None:
        self.rows, self.spec, self.name = batch, spec, "example"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows["x"])

    def batch(self, indices: Any, generator: torch.Generator | None = None) -> dict[str, Any]:
        """Return the rows at ``indices``."""
        index = torch.as_tensor(indices)
        return {
            key: value[index] if isinstance(value, Tensor) else [value[i] for i in index.tolist()]
            for key, value in self.rows.items()
        }


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
        """Return a new model of the example's config, initialised from ``seed`` and its data."""
        config, batch = self.cls.example()
        with seeded(seed):
            model = self.cls(config)
        if isinstance(model, SupportsDataInit) and model.needs_data_init():
            model.init_from_data(batch, self.data().spec)
        return model

    def data(self) -> ExampleData:
        """Return the example's rows."""
        _, batch = self.cls.example()
        labels, kind = batch.get("label"), min(self.cls.kind)
        spec = DataSpec(
            event_shape=tuple(batch["x"].shape[1:]),
            kind=kind,  # type: ignore[arg-type]
            num_classes=None if labels is None else int(labels.max()) + 1,
            mean=batch["x"].float().mean(0),
            y=_spec_of(batch["y"], kind) if "y" in batch else None,
        )
        return ExampleData(batch, spec)

    def stages(self) -> tuple[Stage, ...]:
        """Return the model's own stages, and one for every other objective that takes it."""
        own = self.cls.default_stages()
        known = {stage.objective.name for stage in own}
        others = [name for name in registry.names("objectives") if name not in known]
        fitting = [name for name in others if self._takes(name)]
        return (*own, *(Stage.from_dict({"objective": {"name": name}}) for name in fitting))

    def objective(self, stage: Stage, model: GenerativeModel) -> Objective:
        """Return the objective of a stage for ``model``."""
        cls = registry.load("objectives", stage.objective.name)
        with seeded(SEED):
            objective: Objective = cls(model, cls.Config.from_dict(stage.objective.config))
        return objective

    def condition(self, model: GenerativeModel, num: int) -> Any:
        """Return ``num`` conditions taken from the example's batch, or None."""
        key = {"label": "label", "text": "text", "image": "y"}.get(model.condition_kind)
        if key is None:
            return None
        rows = self.data().batch([i % len(self.data()) for i in range(num)])
        return spread_condition(model, rows[key], num)

    def _takes(self, objective: str) -> bool:
        model = self.model()
        return all(
            isinstance(model, needed) for needed in registry.load("objectives", objective).requires
        )


def _spec_of(y: Tensor, kind: str) -> DataSpec:
    return DataSpec(event_shape=tuple(y.shape[1:]), kind=kind)  # type: ignore[arg-type]


def cases() -> list[Case]:
    """Return a case for every registered model."""
    return [Case(name, registry.load("models", name)) for name in registry.names("models")]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the default generators, and put them back afterwards."""
    with torch.random.fork_rng(devices=[]):
        seeds.seed_defaults(seed, torch.device("cpu"))
        yield


def demand(condition: bool, message: str) -> None:
    """Raise `CheckFailed` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def equal_states(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of the tensors that are not bit-equal, or are in one alone."""
    names = sorted(a.keys() | b.keys())
    return [n for n in names if n not in a or n not in b or not torch.equal(a[n], b[n])]
