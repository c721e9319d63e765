"""Runs: recipes made into trained models."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch

from genzoo import registry, seeds
from genzoo.data import Dataset, load_dataset, pair
from genzoo.stage import Recipe, Stage
from genzoo.training import Trainer

if TYPE_CHECKING:
    from genzoo.pretrained import GenerativeModel


def train(
    recipe: Recipe,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> GenerativeModel:
    """Make what a recipe says, and return the trained model.

    Arguments:
        recipe: What to train, on what, how.
        output_dir: Where the run is written; None writes nothing.
        resume: Whether to go on with the run that is there.
        overwrite: Whether it may be replaced.

    Raises:
        GenzooError: Whatever is wrong with the recipe, the data or the run.
    """
    model = make_trainer(recipe, output_dir, overwrite=overwrite).fit(resume=resume)
    return cast("GenerativeModel", model)  # The registry holds no other class.


def make_trainer(
    recipe: Recipe,
    output_dir: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    change: Callable[[Sequence[Stage]], Sequence[Stage]] | None = None,
) -> Trainer:
    """Return the trainer of a recipe, its model initialised from the recipe's seed.

    Arguments:
        recipe: What to train, on what, how.
        output_dir: Where the run is written; None writes nothing.
        overwrite: Whether a run that is there may be replaced.
        change: What is made of the model's own stages, where the recipe has none.
    """
    cls = registry.load("models", recipe.model.name)
    data = _load(recipe)
    config = cls.configure(data.info, **recipe.model.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(recipe.trainer.seed, "model"))
        model = cls(config)
    stages = recipe.stages or cls.default_stages(config)
    return Trainer(
        model,
        data,
        stages if recipe.stages or change is None else change(stages),
        recipe.trainer,
        output_dir=output_dir,
        overwrite=overwrite,
    )


def _load(recipe: Recipe) -> Dataset:
    """Return the training split of what a recipe names, of both domains where it names two."""
    data = load_dataset(recipe.data.name, **recipe.data.config)
    if recipe.data_y is None:
        return data
    return pair(data, load_dataset(recipe.data_y.name, **recipe.data_y.config))
