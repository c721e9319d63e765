"""genzoo train."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from genzoo import registry
from genzoo.cli.arguments import Peeked, TrainArguments
from genzoo.cli.fields import fitted_section, with_help
from genzoo.data import DataSource, find_source
from genzoo.errors import ConfigError
from genzoo.model import GenerativeModel
from genzoo.objective import Objective, OptimizerSpec
from genzoo.runs import make_trainer
from genzoo.stage import Named, Recipe, Stage
from genzoo.training import TrainerConfig


@dataclass(frozen=True)
class Chosen:
    """The classes that a command names, and what their fields are by default."""

    model: type[GenerativeModel]
    source: type[DataSource] | None
    location: str
    stage: Stage
    objective: type[Objective]
    optimizers: Mapping[str, OptimizerSpec]


def arguments_for(peeked: Peeked) -> Any:
    """Return the arguments of ``train`` with every field of the classes that it names."""
    chosen = _choose(peeked)
    defaults = _defaults(chosen)
    fields: list[Any] = [
        (f.name, with_help(f, TrainArguments), f)
        for f in dataclasses.fields(TrainArguments)
        if f.name not in ("data", "name")
    ]
    plain = tyro.conf.arg
    fields += [
        (
            "name",
            Annotated[str, tyro.conf.Positional, plain(help="The model.")],
            peeked.positional,
        ),
        ("data_name", Annotated[str | None, plain(name="data", help="The data.")], None),
        (
            "objective_name",
            Annotated[str | None, plain(name="objective", help="How the model learns.")],
            None,
        ),
    ]
    for section, value in defaults.items():
        label = section.replace("_", ".")
        kind = Annotated[type(value), plain(name=label)]
        fields.append((section, kind, dataclasses.field(default=value)))
    arguments = dataclasses.make_dataclass("Train", fields, kw_only=True, frozen=True)
    arguments.__doc__ = f"Train {peeked.positional} on data; every field has its flag."
    arguments.chosen, arguments.defaults = chosen, defaults  # type: ignore[attr-defined]
    return arguments


def run(arguments: Any) -> None:
    """Train what the arguments, or a recipe, say."""
    if isinstance(arguments, TrainArguments):
        if arguments.recipe is None:
            raise ConfigError(
                "Give a model and data (genzoo train NAME --data DATA --output DIR), or --recipe "
                f"FILE.toml. Models: {', '.join(registry.names('models'))}."
            )
        recipe = Recipe.read(arguments.recipe)
    else:
        recipe = _recipe(arguments)
    trainer = make_trainer(recipe, arguments.output, overwrite=arguments.overwrite)
    trainer.fit(resume=arguments.resume)
    _tell(arguments.output)


def _tell(output: Path) -> None:
    sys.stdout.write(
        f"The model is in {output}. Go on with:\n"
        f"  genzoo sample {output} --num 64 --output samples.png\n"
        f"  genzoo evaluate {output}\n"
    )


def _choose(peeked: Peeked) -> Chosen:
    model = registry.load("models", peeked.positional)
    source, location = (None, "")
    if peeked.flags.get("data"):
        source, location = find_source(peeked.flags["data"])
    stages = model.default_stages()
    name = peeked.flags.get("objective") or stages[0].objective.name
    own = [stage for stage in stages if stage.objective.name == name]
    stage = own[0] if own else Stage(objective=Named(name=name))
    objective = registry.load("objectives", name)
    example = objective(
        model(model.example()[0]), objective.Config.from_dict(stage.objective.config)
    )
    return Chosen(model, source, location, stage, objective, example.optimizers())


def _defaults(chosen: Chosen) -> dict[str, Any]:
    """Return, for each section of flags, an instance whose fields are the defaults."""
    sections = {
        "model": fitted_section(chosen.model.Config)(),
        "objective": chosen.objective.Config.from_dict(chosen.stage.objective.config),
        "trainer": _trainer_section(chosen.stage)(),
        "trainer_optimizers": _optimizers_section(chosen.optimizers)(),
    }
    if chosen.source is not None:
        sections["data"] = chosen.source.Config()
    return sections


def _trainer_section(stage: Stage) -> Any:
    """Return the trainer's fields, without the optimisers, which have a section of their own."""
    fields: list[Any] = [
        (f.name, with_help(f, TrainerConfig), f)
        for f in dataclasses.fields(TrainerConfig)
        if f.name != "optimizers"
    ]
    made = dataclasses.make_dataclass("TrainerConfig", fields, kw_only=True, frozen=True)
    listed = ", ".join(f"{k} {v}" for k, v in stage.trainer.items())
    made.__doc__ = f"The stage's own values: {listed or 'none'}."
    return made


def _optimizers_section(optimizers: Mapping[str, OptimizerSpec]) -> Any:
    fields: list[Any] = [
        (player, OptimizerSpec, dataclasses.field(default=spec))
        for player, spec in optimizers.items()
    ]
    return dataclasses.make_dataclass("Optimizers", fields, kw_only=True, frozen=True)


def _recipe(arguments: Any) -> Recipe:
    """Return the recipe that the arguments come to: what was given, and nothing else."""
    chosen, defaults = arguments.chosen, arguments.defaults
    if arguments.data_name is None:
        raise ConfigError(
            f"Which data? Give --data: {', '.join(registry.names('datasets'))}, an array file, a "
            "folder of images, or a repository user/name."
        )
    given = {name: _given(getattr(arguments, name), value) for name, value in defaults.items()}
    optimizers = {
        player: _given(getattr(arguments.trainer_optimizers, player), spec)
        for player, spec in chosen.optimizers.items()
    }
    trainer = {**given["trainer"], "optimizers": {k: v for k, v in optimizers.items() if v}}
    values = {**chosen.stage.objective.config, **given["objective"]}
    stage = dataclasses.replace(
        chosen.stage, objective=Named(name=chosen.stage.objective.name, config=values)
    )
    stages = (stage,) if arguments.objective_name else _stages(chosen, stage)
    return Recipe(
        model=Named(name=arguments.name, config=given["model"]),
        data=Named(name=arguments.data_name, config=given["data"]),
        stages=stages,
        trainer=TrainerConfig.from_dict(trainer),
    )


def _stages(chosen: Chosen, first: Stage) -> tuple[Stage, ...]:
    """Return the model's own stages, the first with the values that were given."""
    return (first, *chosen.model.default_stages()[1:])


def _given(value: Any, default: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value)]
    pairs = {name: (getattr(value, name), getattr(default, name)) for name in names}
    return {name: _plain(new) for name, (new, old) in pairs.items() if new != old}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
