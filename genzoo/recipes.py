"""Runs: recipes made into trained models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch

from genzoo import registry, seeds
from genzoo.config import differences
from genzoo.data import Dataset, load_dataset, pair
from genzoo.data.holding_out import HELD_OUT
from genzoo.errors import ConfigError
from genzoo.hub.source import source_of
from genzoo.model import Model
from genzoo.objective import Objective
from genzoo.stage import Recipe, Stage
from genzoo.storage import open_model
from genzoo.training import Trainer

if TYPE_CHECKING:
    from genzoo.pretrained import GenerativeModel


def train(
    recipe: Recipe,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    optimizer: Any = None,
    lr_scheduler: Any = None,
) -> GenerativeModel:
    """Train a model from a recipe and return it.

    Arguments:
        recipe: The recipe.
        output_dir: The folder of the run; None writes nothing.
        resume: Whether to resume the run in the folder.
        overwrite: Whether an existing run may be replaced.
        optimizer: A function that makes the optimisers; see `Trainer`.
        lr_scheduler: A function that makes the learning-rate schedules; see `Trainer`.

    Raises:
        GenzooError: The recipe, the data or the run has an error.
    """
    functions = {"optimizer": optimizer, "lr_scheduler": lr_scheduler}
    model = make_trainer(recipe, output_dir, overwrite=overwrite, **functions).fit(resume=resume)
    return cast("GenerativeModel", model)  # The registry has only such classes in this group.


def make_trainer(
    recipe: Recipe,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    change: Callable[[Sequence[Stage]], Sequence[Stage]] | None = None,
    optimizer: Any = None,
    lr_scheduler: Any = None,
) -> Trainer:
    """Return the trainer of a recipe, its model initialised from the recipe's seed.

    The arguments are those of `train`, and ``change``: a change of the model's default stages,
    used if the recipe has none.
    """
    functions = {"optimizer": optimizer, "lr_scheduler": lr_scheduler}
    _check_functions(recipe, functions)
    cls = registry.load("models", recipe.model.name)
    data = _load(recipe, "train")
    held_out = _held_out(recipe)
    model = _new(recipe, data) if recipe.pretrained is None else _stored(recipe)
    stages = recipe.stages or cls.default_stages(model.config)
    _check_trained(recipe, stages[0])
    trainer = Trainer(
        model,
        data,
        stages if recipe.stages or change is None else change(stages),
        recipe.trainer,
        eval_data=held_out,
        optimizer=optimizer,
        lr_scheduler=lr_scheduler,
        output_dir=output_dir,
        overwrite=overwrite,
    )
    if recipe.pretrained is not None:
        pretrained = recipe.pretrained, recipe.revision
        trainer.plan = dataclasses.replace(trainer.plan, pretrained=pretrained)
    return trainer


def _check_functions(recipe: Recipe, functions: Mapping[str, Any]) -> None:
    """Raise ConfigError if a function is missing that a recipe's run was trained with."""
    for name, text in (recipe.factories or {}).items():
        if functions.get(name) is None:
            raise ConfigError(
                f"The run of this recipe was trained with a function for {name} (it made {text}), "
                f"which a recipe cannot hold. Give it again: genzoo.train(recipe, {name}=...)."
            )


def _check_trained(recipe: Recipe, first: Stage) -> None:
    """Raise ConfigError if the first objective needs a trained model, and the model is new."""
    name = first.objective.name
    objective: type[Objective] = registry.load("objectives", name)
    if objective.needs_trained_model and recipe.pretrained is None:
        raise ConfigError(
            f"The objective {name} learns from a trained model, but this one is new. Give the run "
            "or repository of one: --from RUN, or the recipe's field pretrained."
        )


def _new(recipe: Recipe, data: Dataset) -> Model:
    """Return a new model that fits the data, its weights drawn from the recipe's seed."""
    cls = registry.load("models", recipe.model.name)
    config = cls.configure(data.info, **recipe.model.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive_seed(recipe.trainer.seed, "model"))
        model: Model = cls(config)
    return model


def _stored(recipe: Recipe) -> Model:
    """Return the stored model that training starts from.

    Raises:
        ConfigError: It is another model than the recipe's, or has another config.
        LoadError, HubError: As `GenModel.from_pretrained`.
    """
    with source_of(str(recipe.pretrained), revision=recipe.revision) as files:
        model = open_model(files).check().fill()
    name, stored = registry.describe(model).name, model.config
    if name != recipe.model.name:
        raise ConfigError(
            f"The model in {recipe.pretrained!r} is a {name}, not a {recipe.model.name}."
        )
    wanted = type(stored).from_dict({**stored.to_dict(), **recipe.model.config})
    if changed := list(differences(wanted, stored)):
        raise ConfigError(
            f"The model in {recipe.pretrained!r} has another {changed[0]}, which its weights fix. "
            "Leave it out of the config."
        )
    return model.train()


def _held_out(recipe: Recipe) -> Dataset | None:
    """Return the rows that a recipe holds out: those that it names, or a share of its data."""
    if recipe.eval_data is not None:
        named = recipe.eval_data
        return load_dataset(named.name, recipe.eval_split, **named.config)
    return _load(recipe, HELD_OUT) if _has_held_out(recipe) else None


def _load(recipe: Recipe, split: str) -> Dataset:
    """Return a split of a recipe's data, with both domains if it names two."""
    data = load_dataset(recipe.data.name, split, **recipe.data.config)
    if recipe.data_y is None:
        return data
    return pair(data, load_dataset(recipe.data_y.name, split, **recipe.data_y.config))


def _has_held_out(recipe: Recipe) -> bool:
    """Whether a recipe holds out a share of its data.

    Raises:
        ConfigError: It holds out a share of one domain only.
    """
    parts = [part for part in (recipe.data, recipe.data_y) if part is not None]
    held = ("valid_fraction", "valid_shards")  # Of a stream, whole shards are held out.
    found = [any(part.config.get(key) for key in held) for part in parts]
    if any(found) and not all(found):
        raise ConfigError(
            "valid_fraction holds out rows of one domain only. Give both --data.valid-fraction "
            "and --data-y.valid-fraction, or valid_shards for streams."
        )
    return any(found)
