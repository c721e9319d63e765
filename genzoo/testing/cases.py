"""What a check is given: a model's class, its example, and one of its stages."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from genzoo import registry, seeds
from genzoo.building import build_empty
from genzoo.capabilities import SupportsDataInit
from genzoo.data.dataset import Dataset
from genzoo.errors import GenzooError
from genzoo.model import GenerativeModel
from genzoo.objective import Objective
from genzoo.sampling import spread_condition
from genzoo.spec import Batch, DataSpec, Kind
from genzoo.stage import Stage
from genzoo.training.parts import model_of

SEED = 0


KINDS = frozenset({"binary", "unit", "real", "categorical"})


class CheckFailed(GenzooError):
    """A model broke a rule; the message says which, and how."""


class NotApplicable(Exception):
    """A check that has nothing to look at in this model; the message says why."""


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
        labels, kind = batch.get("label"), self.data_kind()
        spec = DataSpec(
            event_shape=tuple(batch["x"].shape[1:]),
            kind=kind,
            num_classes=None if labels is None else int(labels.max()) + 1,
            mean=batch["x"].float().mean(0),
            y=_spec_of(batch["y"], kind) if "y" in batch else None,
        )
        return ExampleData(batch, spec)

    def data_kind(self) -> Kind:
        """Return the kind of the example's rows: the narrowest of the model's that they are of."""
        return self._data_kind

    def widest_kind(self) -> Kind:
        """Return the least restrictive kind of rows that the example's model takes."""
        widest: tuple[Kind, ...] = ("real", "unit", "binary", "categorical")
        found = [kind for kind in widest if kind in self.cls.kind]
        return next((kind for kind in found if self._models(kind)), found[0])

    @functools.cached_property
    def _data_kind(self) -> Kind:
        x = self.cls.example()[1]["x"]
        fitting: dict[Kind, bool] = {
            "binary": bool(((x == 0) | (x == 1)).all()),
            "categorical": not x.is_floating_point(),
            "unit": bool(((x >= 0) & (x <= 1)).all()),
            "real": x.is_floating_point(),
        }
        found = [kind for kind, fits in fitting.items() if fits and kind in self.cls.kind]
        rest: list[Kind] = [k for k in get_args(Kind) if k in self.cls.kind and k not in found]
        candidates = [*found, *sorted(rest, reverse=True)]
        return next((kind for kind in candidates if self._models(kind)), candidates[0])

    def _models(self, kind: Kind) -> bool:
        """Whether the example's model takes rows of a kind: its config may say so."""
        config, batch = self.cls.example()
        spec = _spec_of(batch["x"], kind)
        if "y" in batch:
            spec = dataclasses.replace(spec, y=_spec_of(batch["y"], kind))
        try:
            build_empty(self.cls, config, max_tensors=100_000).check_data(spec)
        except GenzooError:
            return False
        return True

    def stages(self) -> tuple[Stage, ...]:
        """Return the model's own stages, and one for every other objective that takes it."""
        own = self.cls.default_stages(self.cls.example()[0])
        known = {stage.objective.name for stage in own}
        others = [name for name in registry.names("objectives") if name not in known]
        model = self.model()
        fitting = [name for name in others if self._takes(name, model)]
        return (*own, *(Stage.from_dict({"objective": {"name": name}}) for name in fitting))

    def objective(self, stage: Stage, model: GenerativeModel) -> Objective:
        """Return the objective of a stage for ``model``, or for one that it holds."""
        learning = model_of(stage, model)
        with seeded(SEED):
            objective: Objective = registry.make("objectives", stage.objective, learning)
        return objective

    def condition(self, model: GenerativeModel, num: int) -> Any:
        """Return ``num`` conditions taken from the example's batch, or None."""
        key = {"label": "label", "text": "text", "image": "y"}.get(model.condition_kind)
        if key is None:
            return None
        data = self.data()
        rows = data.batch([i % len(data) for i in range(num)])
        return spread_condition(model, rows[key], num)

    def batch(self) -> dict[str, Any]:
        """Return all of the example's rows."""
        data = self.data()
        return data.batch(range(len(data)))

    def _takes(self, objective: str, model: GenerativeModel) -> bool:
        """Whether an objective takes the model; another plugin's that is broken does not."""
        ours = registry.distribution_of("models", self.name)
        try:
            needed = registry.load("objectives", objective).requires
        except (Exception, SystemExit):
            if registry.distribution_of("objectives", objective) == ours:
                raise
            return False
        return bool(needed) and all(isinstance(model, kind) for kind in needed)


def _spec_of(x: Tensor, kind: Kind) -> DataSpec:
    return DataSpec(event_shape=tuple(x.shape[1:]), kind=kind)


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


def demand_equal(a: dict[str, Any], b: dict[str, Any], when: str) -> None:
    """Raise `CheckFailed` unless the tensors are bit-equal."""
    names = equal_states(a, b)
    demand(not names, f"Not bit-equal {when}: {', '.join(names[:5])}.")


def equal_states(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Return the names of the tensors that are not bit-equal, or are in one alone."""
    names = sorted(a.keys() | b.keys())
    return [n for n in names if n not in a or n not in b or not torch.equal(a[n], b[n])]
