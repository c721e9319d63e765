"""The plan: what is trained, on which data and how. It is checked once and never changed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from genzoo import registry, seeds
from genzoo.component import Component
from genzoo.data import Dataset
from genzoo.data.domains import named_parts
from genzoo.data.holding_out import HELD_OUT
from genzoo.errors import PluginError
from genzoo.model import Model
from genzoo.objective import Objective
from genzoo.stage import Recipe, Stage, stage_for
from genzoo.training.batches import to_device
from genzoo.training.config import TrainerConfig, check_minutes, check_sharding, resolve
from genzoo.training.evaluations import check_evaluations, without_metrics
from genzoo.training.factories import Factories
from genzoo.training.inputs import Inputs, check_inputs
from genzoo.training.labels import Reading
from genzoo.training.stage_scope import model_of, only_part
from genzoo.training.trackers import check_trackers


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of a run; `make_plan` makes one.

    Arguments:
        model: The model that is trained in place.
        data: The original data.
        rows: The data with only the fields that the model and the objectives read.
        eval_data: The held-out data; None if there are none.
        eval_rows: These, likewise with the fields that are read.
        factories: Functions of the user's that make optimisers and schedules.
        made: What these functions made, in words, for the recipe.
        reading: These fields and their requirements.
        stages: The stages, in order.
        config: The user's training values.
        configs: The training values of each stage.
        given: An objective instance that the user passed.
        pretrained: The stored model that training starts from, for the recipe, and its revision.
    """

    model: Model
    data: Dataset
    rows: Dataset
    reading: Reading
    stages: tuple[Stage, ...]
    config: TrainerConfig
    configs: tuple[TrainerConfig, ...]
    given: Objective | None = None
    pretrained: tuple[str, str | None] | None = None
    eval_data: Dataset | None = None
    eval_rows: Dataset | None = None
    factories: Factories = field(default_factory=Factories)
    made: Mapping[str, str] = field(default_factory=dict)

    def learning(self, number: int) -> Model:
        """Return the model of a stage's objective: the whole model, or a nested one."""
        return model_of(self.stages[number], self.model)

    def only_part(self, number: int) -> contextlib.AbstractContextManager[None]:
        """Freeze everything that a stage does not train."""
        return only_part(self.learning(number), self.stages[number].part)

    def make_objective(self, number: int) -> Objective:
        """Return the objective of a stage, with seeded parameters."""
        if self.given is not None:
            return self.given
        seed = seeds.derive_seed(self.config.seed, "objective", number)
        seeds.seed_defaults(seed, self.model.device)
        component = self.stages[number].objective
        objective: Objective = registry.make("objectives", component, self.learning(number))
        return objective

    def to_device(self, batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
        """Return a batch on the device, after checking its conditions on the CPU.

        Raises:
            DataError: A condition is missing, or not in its space.
        """
        self.reading.check(batch)
        return to_device(batch, device, self.model.dtype)

    def functions(self) -> Mapping[str, str] | None:
        """Return what the user's functions made, in words; None if there are none."""
        return {name: self.made.get(name, "a function") for name in self.factories.given()} or None

    def recipe(self) -> Recipe:
        """Return the recipe of this run."""
        x, y = named_parts(self.data)
        return Recipe(
            model=registry.describe(self.model),
            data=_named(x),
            data_y=None if y is None else _named(y),
            **_held_out(self.data, self.eval_data),
            pretrained=self.pretrained and self.pretrained[0],
            revision=self.pretrained and self.pretrained[1],
            stages=self.stages,
            trainer=self.config,
            factories=self.functions(),
        )


def make_plan(
    model: Model,
    data: Dataset,
    objective: str | Objective | Stage | Sequence[Stage] | None,
    config: TrainerConfig,
    eval_data: Dataset | None = None,
    factories: Factories | None = None,
) -> Plan:
    """Return the plan of a run, after checking that its parts fit; the errors are `Trainer`'s."""
    check_trackers(config.report_to)
    check_minutes(config)
    factories = factories or Factories()
    factories.check_config(config)
    given = objective if isinstance(objective, Objective) else None
    model.check_data(data.info)
    stages = tuple(_stages(model, objective))
    for stage in stages:
        # Not at the start of the stage, because the stages before it may train for hours.
        check_inputs(stage, model, data.info)
    reading = _reading(model, data, stages, given)
    reading.check_all(data)
    configs = tuple(resolve(config, s.trainer, _optimizers(s, given)) for s in stages)
    check_evaluations(configs, model, eval_data)
    for values in configs:
        check_sharding(values, _needing_whole(values))
    configs = (*map(without_metrics, configs[:-1]), configs[-1])
    if eval_data is not None:
        model.check_data(eval_data.info)
        reading.check_all(eval_data)
    return Plan(
        model=model,
        data=data,
        rows=data.select(reading.fields),
        reading=reading,
        stages=stages,
        config=config,
        configs=configs,
        given=given,
        eval_data=eval_data,
        eval_rows=None if eval_data is None else eval_data.select(reading.fields),
        factories=factories,
    )


def _stages(model: Model, objective: Any) -> Sequence[Stage]:
    if objective is None:
        return model.default_stages(model.config)
    if isinstance(objective, str):
        return [stage_for(objective, model.default_stages(model.config))]
    if isinstance(objective, Objective):
        return [Stage(objective=_described(objective))]
    return [objective] if isinstance(objective, Stage) else list(objective)


def _reading(
    model: Model, data: Dataset, stages: Sequence[Stage], given: Objective | None
) -> Reading:
    """Return the fields of the data that the model and its objectives read."""
    names = [] if given is not None else [stage.objective.name for stage in stages]
    objectives = [type(given)] if given is not None else []
    objectives += [registry.load("objectives", name) for name in names]
    coded = [model_of(stage, model) for stage in stages if stage.inputs]
    learning = [model_of(stage, model) for stage in stages if stage.model is not None]
    inputs = [part for stage in stages for part in Inputs(stage, model).models]
    return Reading.of([model, *learning, *inputs], objectives, data, coded)


def _optimizers(stage: Stage, given: Objective | None) -> Mapping[str, Component]:
    """Return the optimisers of a stage's objective."""
    if given is not None:
        return given.optimizers(given.config)
    cls: type[Objective] = registry.load("objectives", stage.objective.name)
    return cls.optimizers(registry.config_of("objectives", stage.objective))


def _needing_whole(config: TrainerConfig) -> list[str]:
    """Return the names of the optimisers that need whole parameters."""
    names = [change.name for change in config.optimizers.values() if change.name is not None]
    return [name for name in names if not registry.load("optimizers", name).elementwise]


def _described(objective: Objective) -> Component:
    """Return the component of an objective, with its class's name if it is not registered."""
    with contextlib.suppress(PluginError):
        return registry.describe(objective)
    return Component(name=type(objective).__name__.lower(), config=objective.config.to_dict())


def _held_out(data: Dataset, held_out: Dataset | None) -> dict[str, Any]:
    """Return held-out data and their split for a recipe; a share of the data is named by these."""
    if held_out is None or held_out.origin is None:
        return {}
    if held_out.split == HELD_OUT and held_out.origin == data.origin:
        return {}
    return {"eval_data": _named(held_out), "eval_split": held_out.split or None}


def _named(data: Dataset) -> Component:
    name, values = data.origin or (data.name, {})
    return Component(name=name, config=values)
