"""genzoo train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, TrainArguments
from genzoo.cli.conditions import takes_images
from genzoo.cli.fields import changed, extended, model_section, section
from genzoo.cli.texts import command_line, write_steps
from genzoo.cli.trainer_flags import TrainerFlags, named_by, trainer_flags
from genzoo.component import Component
from genzoo.conditions import flag_of
from genzoo.data import find_source
from genzoo.errors import ConfigError
from genzoo.model import Model
from genzoo.pretrained.inspecting import inspect
from genzoo.recipes import make_trainer
from genzoo.stage import Recipe, Stage
from genzoo.training import TrainerConfig


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``train`` with all fields of the named classes."""
    if peeked.flags.get("recipe"):
        return TrainArguments
    flags = peeked.flags
    data = [flags.get("data"), flags.get("data-y")]
    # Flags have hyphens, fields have underscores.
    named = {key.removeprefix("trainer.").replace("-", "_"): v for key, v in flags.items()}
    start = _start(flags["from"], flags.get("revision")) if "from" in flags else None
    name = peeked.positional or (start.name if start else "")
    _, sections = _choose(name, data, flags.get("objective"), named)
    # A stored model has a config, which cannot be changed.
    return extended(
        TrainArguments, {k: v for k, v in sections.items() if k != "model" or not start}
    )


def run(arguments: Any) -> None:
    """Train a model as the arguments or a recipe say."""
    if arguments.resume and arguments.overwrite:
        raise ConfigError("--resume continues the run, --overwrite replaces it. Give one of them.")
    if arguments.recipe is None:
        recipe, change = _recipe(arguments)
    else:
        recipe, change = _read(arguments), None
    trainer = make_trainer(recipe, arguments.output, overwrite=arguments.overwrite, change=change)
    _tell(trainer.fit(resume=arguments.resume), arguments.output)


@dataclasses.dataclass(frozen=True)
class _Start:
    """A stored model that training starts from.

    Arguments:
        name: The model's registered name.
        revision: The commit of its repository; None for a folder.
    """

    name: str
    revision: str | None


def _start(source: str, revision: str | None) -> _Start:
    found = inspect(source, revision)
    return _Start(found.description["model"], found.commit or None)


def _tell(model: Model, output: Path) -> None:
    looks = [["sample", output, "--num", 64, *_given(model), "--output", "samples.png"]]
    if takes_images(model):
        translates = isinstance(model, SupportsTranslate)
        looks = [["translate", output, "--output", "strips.png"]] if translates else []
    steps = [*looks, ["evaluate", output], ["report", output]]
    write_steps(f"The model is in {output}.", [command_line("genzoo", *step) for step in steps])


def _given(model: Model) -> list[str]:
    """Return flags for the conditions that a model needs, with an example value for each."""
    needed = {} if model.takes_null else model.conditions
    values = {name: "0" if space.count else "VALUE" for name, space in needed.items()}
    return [word for name, value in values.items() for word in (flag_of(name), value)]


def _choose(
    name: str, data: Sequence[str | None], objective: str | None, named: Mapping[str, str]
) -> tuple[TrainerFlags, Mapping[str, Any]]:
    """Return the trainer's flags, and all sections of flags with their defaults.

    Arguments:
        name: The model's name.
        data: The data of each domain by name, or None.
        objective: The name of the objective, if any.
        named: The names in the trainer's flags.
    """
    model = registry.load("models", name)
    first = _stages(model.default_stages(model.example()[0]), objective, {})[0]
    learn = registry.load("objectives", first.objective.name)
    optimizers = learn.optimizers(registry.config_of("objectives", first.objective))
    trainer = trainer_flags(first, optimizers, named)
    found = {
        "model": model_section(model),
        "objective": section(learn.Config, first.objective.config),
        "trainer": trainer.section,
    }
    given = zip(("data", "data_y"), data, strict=True)
    of_data = {key: section(find_source(one)[0].Config) for key, one in given if one is not None}
    return trainer, {**of_data, **found}


def _stages(
    own: Sequence[Stage], objective: str | None, values: Mapping[str, Any]
) -> Sequence[Stage]:
    """Return the stages of a model or of an objective, with values for the first objective.

    Arguments:
        own: The model's stages.
        objective: The name of the objective, if any.
        values: The fields of the objective's config that are set.
    """
    if objective is not None:
        known = [stage for stage in own if stage.objective.name == objective]
        own = known[:1] or [Stage(objective=Component(name=objective))]
    first, *rest = own
    learned = Component(name=first.objective.name, config={**first.objective.config, **values})
    return [dataclasses.replace(first, objective=learned), *rest]


def _read(arguments: TrainArguments) -> Recipe:
    """Return the recipe of a file; no other argument is allowed."""
    others = {
        "NAME": arguments.name,
        "--data": arguments.data_name,
        "--data-y": arguments.data_y_name,
        "--from": arguments.pretrained,
    }
    given = [flag for flag, value in others.items() if value is not None]
    if given:
        raise ConfigError(f"--recipe and {' and '.join(given)} exclude each other. Leave one out.")
    return Recipe.read(str(arguments.recipe))


def _recipe(arguments: Any) -> tuple[Recipe, Callable[[Sequence[Stage]], Sequence[Stage]]]:
    """Return the recipe of the arguments, and their change of the model's stages.

    The stages of a model depend on its config, and this on the data, which are not loaded yet.
    """
    stored = arguments.pretrained
    start = None if stored is None else _start(stored, arguments.revision)
    name = arguments.name or (start.name if start else None)
    if name is None:
        raise ConfigError(
            "Which model? Give its name first (genzoo train NAME --data DATA --output DIR), or "
            f"--recipe FILE.toml. Models: {', '.join(registry.names('models'))}."
        )
    if arguments.data_name is None:
        raise ConfigError(
            f"Which data? Give --data: {', '.join(registry.names('datasets'))}, an array file, a "
            "folder of images, or a repository user/name."
        )
    second = arguments.data_y_name
    data, named = [arguments.data_name, second], named_by(arguments.trainer)
    trainer, sections = _choose(name, data, arguments.objective_name, named)
    flags = vars(arguments)
    given = {
        name: changed(flags[name], default, arguments.typed, name)
        for name, default in sections.items()
        if name != "trainer" and name in flags
    }
    recipe = Recipe(
        model=Component(name=name, config=given.get("model", {})),
        data=Component(name=arguments.data_name, config=given["data"]),
        data_y=None if second is None else Component(name=second, config=given["data_y"]),
        pretrained=stored,
        revision=None if start is None else start.revision,
        trainer=TrainerConfig.from_dict(trainer.given(arguments.trainer, arguments.typed)),
    )
    return recipe, lambda own: _stages(own, arguments.objective_name, given["objective"])
