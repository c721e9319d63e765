"""genzoo train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genzoo import registry
from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, TrainArguments
from genzoo.cli.components import Place, groups_of, resolved
from genzoo.cli.conditions import takes_images
from genzoo.cli.data import data_values, sections_of
from genzoo.cli.fields import changed, extended, model_section, section
from genzoo.cli.texts import command_line, write_steps
from genzoo.cli.trainer_flags import trainer_section, trainer_values
from genzoo.component import Component, ComponentOverride
from genzoo.conditions import flag_of
from genzoo.config import Config, required_fields
from genzoo.errors import ConfigError, DataError
from genzoo.model import Model
from genzoo.pretrained.inspecting import inspect
from genzoo.recipes import make_trainer
from genzoo.spec import DataInfo
from genzoo.stage import Recipe, Stage, stage_for
from genzoo.training import TrainerConfig


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``train`` with all fields of the named classes."""
    if peeked.flags.get("recipe"):
        return TrainArguments
    flags = peeked.flags
    start = _start(flags["from"], flags.get("revision")) if "from" in flags else None
    name = peeked.positional or (start.name if start else "")
    sections = _sections(name, flags.get("objective"), peeked)
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


def _sections(name: str, objective: str | None, peeked: Peeked) -> Mapping[str, Any]:
    """Return all sections of flags with their defaults.

    Arguments:
        name: The model's name.
        objective: The name of the objective, if any.
        peeked: The names in the arguments.
    """
    model, place = registry.load("models", name), Place("model", peeked.named)
    first = _first(model, objective, _named(model.Config, place))
    learn = registry.load("objectives", first.objective.name)
    named = {"data": peeked.flags.get("data"), "data_y": peeked.flags.get("data-y")}
    data = {key: Component(name=one) for key, one in named.items() if one is not None}
    own, of_objective = first.objective.config, Place("objective", peeked.named)
    chosen = {key: {"name": one} for key, one in _named(learn.Config, of_objective).items()}
    optimizers = _optimizers(learn, {**chosen, **own})
    return {
        **sections_of(data, peeked),
        "model": model_section(model, place),
        "objective": section(learn.Config, own, of_objective),
        "trainer": trainer_section(first, optimizers, peeked.named),
    }


def _named(config: type[Config], place: Place) -> dict[str, str]:
    """Return the components of a config that flags name."""
    chosen = {name: place.chosen(name, None) for name in groups_of(config)}
    return {name: one.name for name, one in chosen.items() if one}


def _optimizers(objective: Any, values: Mapping[str, Any]) -> Mapping[str, Component]:
    """Return the optimisers of an objective; none if a value is missing, which flags may give."""
    if set(required_fields(objective.Config)) - values.keys():
        return {}
    found: Mapping[str, Component] = objective.optimizers(objective.Config.from_dict(values))
    return found


def _first(model: Any, objective: str | None, inside: Mapping[str, str]) -> Stage:
    """Return the first stage of a small model, whose values are the defaults of flags.

    Arguments:
        model: The model's class.
        objective: The name of the objective, if any.
        inside: The components of the model's config that flags name.
    """
    config = model.example()[0]
    if inside:
        config = _with(model, config, inside)
    return _stages(model.default_stages(config), objective, {})[0]


def _with(model: Any, config: Any, inside: Mapping[str, str]) -> Any:
    """Return the config of a small model with other components, where they fit its example."""
    info = DataInfo(fields={"x": config.event, model.event_field: config.event})
    components = {name: Component(name=one).to_dict() for name, one in inside.items()}
    try:
        return model.configure(info, **components)
    except (ConfigError, DataError):
        return config


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
        own = [stage_for(objective, own)]
    first, *rest = own
    name, config = first.objective.name, first.objective.config
    given = resolved(registry.load("objectives", name).Config, config, values)
    learned = Component(name=name, config={**config, **given})
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
    objective, flags, typed = arguments.objective_name, vars(arguments), arguments.typed
    keys = [key for key in ("model", "objective", "data", "data_y") if key in flags]
    given = {key: changed(flags[key], typed, key) for key in keys}
    model, changes = registry.load("models", name), given.get("model", {})
    named = {key: one.name for key, one in changes.items() if isinstance(one, ComponentOverride)}
    first = _first(model, objective, {key: one for key, one in named.items() if one})
    recipe = Recipe(
        model=Component(name=name, config=resolved(model.Config, {}, changes)),
        data=_data(arguments.data_name, given["data"]),
        data_y=None if second is None else _data(second, given["data_y"]),
        pretrained=stored,
        revision=None if start is None else start.revision,
        trainer=TrainerConfig.from_dict(trainer_values(arguments.trainer, first, typed)),
    )
    return recipe, lambda own: _stages(own, objective, given["objective"])


def _data(name: str, changes: Mapping[str, Any]) -> Component:
    found = Component(name=name)
    return Component(name=name, config=data_values(found, changes))
