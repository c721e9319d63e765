"""Trainer: what is trained, on what, how."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo import registry, seeds
from genzoo.component import Component
from genzoo.data import Dataset, as_dataset
from genzoo.data.domains import named_parts
from genzoo.errors import PluginError
from genzoo.model import GenerativeModel
from genzoo.objective import Objective
from genzoo.stage import Recipe, Stage
from genzoo.threads import limited
from genzoo.training.accelerating import accelerating, others_named, own_randomness
from genzoo.training.config import TrainerConfig, resolve
from genzoo.training.folder import RunFolder
from genzoo.training.inputs import Inputs, check_inputs
from genzoo.training.labels import Reading
from genzoo.training.run import Run
from genzoo.training.signals import listening
from genzoo.training.stage_scope import model_of


class Trainer:
    """Trains a model on data, stage by stage.

    All that it knows about learning: take an objective's next loss, compute its gradient with
    respect to that player's parameters only, clip, step that player, ask for the next.

    Arguments:
        model: What learns, in place.
        data: A dataset, or an array or tensor of rows.
        objective: An objective's registered name, an objective, a stage, or several stages; the
            model's own stages by default.
        config: What the user decides; values left out are the stage's.
        output_dir: Where checkpoints, metrics, pictures and at the end the model are written;
            None writes nothing.
        overwrite: Whether a run that is in ``output_dir`` may be replaced.

    Raises:
        DataError: The data do not fit the model, have none of its conditions, or labels that it
            does not know.
        ConfigError: A stage's inputs do not encode, or do not fit.
        CapabilityError: The objective needs what the model lacks.
    """

    def __init__(
        self,
        model: GenerativeModel,
        data: Dataset | Any,
        objective: str | Objective | Stage | Sequence[Stage] | None = None,
        config: TrainerConfig | None = None,
        *,
        output_dir: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.model, self.data = model, as_dataset(data)
        self.config = config or TrainerConfig()
        model.check_data(self.data.info)
        self._given = objective if isinstance(objective, Objective) else None
        self.stages = _stages(model, objective)
        for stage in self.stages:
            check_inputs(stage, model, self.data.info)
        self.reading = self._reading()
        self.reading.check_all(self.data)
        self.rows = self.data.select(self.reading.fields)
        self.configs = [
            resolve(self.config, stage.trainer, self._optimizers(stage)) for stage in self.stages
        ]
        self.folder = None if output_dir is None else RunFolder(Path(output_dir), overwrite)

    def _reading(self) -> Reading:
        """Return the fields of the data that the model and its objectives read."""
        given = [type(self._given)] if self._given is not None else []
        named = [] if given else [stage.objective.name for stage in self.stages]
        objectives = [*given, *(registry.load("objectives", name) for name in named)]
        coded = [model_of(stage, self.model) for stage in self.stages if stage.inputs]
        models = [self.model, *_parts(self.model, self.stages)]
        return Reading.of(models, objectives, self.data, coded)

    def fit(self, *, resume: bool = False) -> GenerativeModel:
        """Train, and return the model, with its averaged weights where there are any.

        Arguments:
            resume: Go on from the newest good checkpoint of ``output_dir``, bit for bit.

        Raises:
            DataError: A row has a condition that the model does not know.
            NotFiniteError: A loss or gradient is not finite; the update was not made.
            TrainingInterrupted: Ctrl-C or SIGTERM; the run was saved.
            OutputExistsError: ``output_dir`` holds another run.
            CheckpointError: The run cannot be resumed identically.
            RunningError: Another run is training in ``output_dir``.
            TrainingError: Another process of the run has ended.
            LoadError: What would be written into, such as ``checkpoints``, is a link.
        """
        with (
            listening() as interrupts,
            accelerating(self.config, self.folder.path if self.folder else None) as accelerator,
            own_randomness(accelerator.device),
            others_named(accelerator),
            contextlib.closing(Run(self, accelerator, interrupts)) as run,
        ):
            run.open(resume)
            with limited(run.threads):
                for number in range(run.stage, len(self.stages)):
                    run.play(number)
            return run.finish()

    def make_objective(self, number: int, model: GenerativeModel) -> Objective:
        """Return the objective of a stage, its own parameters seeded.

        It is for ``model``, or for the one that it holds which the stage names.
        """
        stage = self.stages[number]
        if self._given is not None and model is self.model:
            return self._given
        seeds.seed_defaults(seeds.derive(self.config.seed, "objective", number), model.device)
        learning = model_of(stage, model)
        if self._given is not None:
            return type(self._given)(learning, self._given.config)
        objective: Objective = registry.make("objectives", stage.objective, learning)
        return objective

    def _optimizers(self, stage: Stage) -> Mapping[str, Component]:
        """Return the optimisers that a stage's objective prescribes."""
        if self._given is not None:
            return self._given.optimizers(self._given.config)
        cls: type[Objective] = registry.load("objectives", stage.objective.name)
        return cls.optimizers(registry.config_of("objectives", stage.objective))

    def recipe(self) -> Recipe:
        """Return all that makes this run, as a file can hold it."""
        x, y = named_parts(self.data)
        return Recipe(
            model=registry.describe(self.model),
            data=_named(x),
            data_y=None if y is None else _named(y),
            stages=tuple(self.stages),
            trainer=self.config,
        )


def _named(data: Dataset) -> Component:
    name, values = data.origin or (data.name, {})
    return Component(name=name, config=values)


def _parts(model: GenerativeModel, stages: Sequence[Stage]) -> list[GenerativeModel]:
    """Return the models within ``model`` that stages train, and that their data pass through."""
    learning = [model_of(stage, model) for stage in stages if stage.model is not None]
    return [*learning, *(found for stage in stages for found in Inputs(stage, model).models)]


def _described(objective: Objective) -> Component:
    """Return an objective as a file can hold it, by its class's own name if it has no other."""
    with contextlib.suppress(PluginError):
        return registry.describe(objective)
    return Component(name=type(objective).__name__.lower(), config=objective.config.to_dict())


def _stages(model: GenerativeModel, objective: Any) -> list[Stage]:
    if objective is None:
        return list(model.default_stages(model.config))
    if isinstance(objective, str):
        prescribed = model.default_stages(model.config)
        own = [stage for stage in prescribed if stage.objective.name == objective]
        return own[:1] or [Stage(objective=Component(name=objective))]
    if isinstance(objective, Objective):
        return [Stage(objective=_described(objective))]
    return [objective] if isinstance(objective, Stage) else list(objective)
