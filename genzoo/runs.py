"""Runs: recipes made into trained models."""

from __future__ import annotations

import os

import torch

from genzoo import registry, seeds
from genzoo.data import Dataset, load_dataset, pair
from genzoo.model import GenerativeModel
from genzoo.stage import Recipe
from genzoo.training import Trainer


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
    return make_trainer(recipe, output_dir, overwrite=overwrite).fit(resume=resume)


def make_trainer(
    recipe: Recipe, output_dir: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> Trainer:
    """Return the trainer of a recipe, its model initialised from the recipe's seed."""
    cls = registry.load("models", recipe.model.name)
    data = _load(recipe)
    config = cls.configure(data.info, **recipe.model.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(recipe.trainer.seed, "model"))
        model = cls(config)
    return Trainer(
        model,
        data,
        list(recipe.stages) or None,
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
