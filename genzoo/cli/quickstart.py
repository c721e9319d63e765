"""genzoo quickstart: train and evaluate some models in under a minute."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from importlib import resources

from genzoo.cli.arguments import QuickstartArguments
from genzoo.cli.quickstart_figure import draw
from genzoo.cli.texts import command_line, write, write_steps
from genzoo.data import load_dataset
from genzoo.estimate import Estimate
from genzoo.evaluation import evaluate
from genzoo.files import check_no_link
from genzoo.pretrained import GenModel
from genzoo.recipes import make_trainer
from genzoo.stage import Recipe
from genzoo.threads import limited

_METRICS = ("independent-pixels", "log-likelihood")


def run(arguments: QuickstartArguments) -> None:
    """Train, save, load and evaluate models, and draw one picture."""
    recipes = read_recipes(fast=arguments.fast)
    for name, recipe in recipes.items():
        check_no_link(arguments.output / name)
        make_trainer(recipe, arguments.output / name, overwrite=True).fit()
    with limited(1):
        models = {name: GenModel.from_pretrained(arguments.output / name) for name in recipes}
        data = next(iter(recipes.values())).data
        test = load_dataset(data.name, "test", **data.config)
        found = {name: evaluate(model, test, _METRICS).figures for name, model in models.items()}
        _say(test.name, found)
        picture = arguments.output / "quickstart.png"
        draw(models, test, picture)
    first = arguments.output / next(iter(models))
    steps = [
        command_line("genzoo", "sample", first, "--num", 100, "--output", "samples.png"),
        command_line("genzoo", "evaluate", first),
        command_line("genzoo", "report", first),
    ]
    write_steps(f"\nThe picture is {picture}.", steps)


def read_recipes(*, fast: bool) -> dict[str, Recipe]:
    """Return the recipes in the package by name; ``fast`` reduces their steps to a tenth."""
    folder = resources.files("genzoo").joinpath("quickstart")
    files = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    texts = {file.name.removesuffix(".toml"): file.read_text("utf-8") for file in files}
    found = {n: Recipe.from_dict(tomllib.loads(text)) for n, text in sorted(texts.items())}
    return {name: _tenth(recipe) for name, recipe in found.items()} if fast else found


def _tenth(recipe: Recipe) -> Recipe:
    stages = [stage.trainer.get("max_steps") for stage in recipe.stages]
    steps = recipe.trainer.max_steps or next((given for given in stages if given), 1000)
    trainer = dataclasses.replace(recipe.trainer, max_steps=max(1, steps // 10))
    return dataclasses.replace(recipe, trainer=trainer)


def _say(data: str, found: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Print the baseline and each model's likelihood."""
    lines = {name: figures["log-likelihood"] for name, figures in found.items()}
    lines = {"independent pixels": next(iter(found.values()))["independent-pixels"], **lines}
    width = max(map(len, lines))
    write(f"\nlog-likelihood of {data}, the mean of a row")
    for name, figure in lines.items():
        write(f"  {name:<{width}}  {figure}")
