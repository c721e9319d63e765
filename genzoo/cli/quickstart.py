"""genzoo quickstart: the whole way of a model, in under a minute."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from genzoo import GenModel, seeds
from genzoo.capabilities import SupportsCompletion, SupportsFilters
from genzoo.cli.arguments import QuickstartArguments
from genzoo.data import Dataset, load_dataset
from genzoo.evaluation import evaluate
from genzoo.files import atomic_file
from genzoo.model import GenerativeModel
from genzoo.plotting import grid, new_figure, show, to_image
from genzoo.runs import make_trainer
from genzoo.stage import Recipe
from genzoo.training.threads import limited

_NUM = 36
_CHAINS = 4
_STATES = 24


def run(arguments: QuickstartArguments) -> None:
    """Train, store, load, judge, and draw one picture."""
    recipe = read_recipe(fast=arguments.fast)
    make_trainer(recipe, arguments.output, overwrite=True).fit()
    with limited(1):
        model = GenModel.from_pretrained(arguments.output)
        test = load_dataset(recipe.data.name, "test", **recipe.data.config)
        sys.stdout.write(f"{evaluate(model, test)}\n")
        picture = arguments.output / "quickstart.png"
        draw(model, test, picture)
    sys.stdout.write(
        f"The picture is {picture}. Go on with:\n"
        f"  genzoo sample {arguments.output} --num 100 --output samples.png\n"
        f"  genzoo evaluate {arguments.output}\n"
    )


def read_recipe(*, fast: bool) -> Recipe:
    """Return the recipe in the package; ``fast`` makes a tenth of its steps."""
    text = resources.files("genzoo").joinpath("quickstart.toml").read_text("utf-8")
    recipe = Recipe.from_dict(tomllib.loads(text))
    steps = (recipe.trainer.steps or 1000) // (10 if fast else 1)
    return dataclasses.replace(recipe, trainer=dataclasses.replace(recipe.trainer, steps=steps))


def draw(model: GenerativeModel, test: Dataset, path: Path) -> None:
    """Write one picture of what the model's capabilities allow."""
    x = test.head(_NUM)["x"]
    panels = {"Test data": grid(x), "Samples": grid(model.sample(_NUM, seed=0))}
    if isinstance(model, SupportsCompletion):
        panels["Upper halves given, lower halves completed"] = grid(_completed(model, x))
    if isinstance(model, SupportsFilters):
        panels["Filters"] = grid(_spread(model.filters()[:_NUM]))
    states, shown = _chains(model)
    chains = grid(states, columns=len(shown))
    figure = new_figure(4 * len(panels), 4.4 + 4 * len(panels) * chains.height / chains.width)
    rows = figure.subfigures(2, 1, height_ratios=[4.4, 4 * len(panels) * _CHAINS / len(shown)])
    for axes, (title, image) in zip(rows[0].subplots(1, len(panels)), panels.items(), strict=True):
        show(axes, image, title)
    show(rows[1].subplots(), chains, f"{_CHAINS} chains: states {', '.join(map(str, shown))}")
    with atomic_file(path) as temporary:
        to_image(figure).save(temporary, format="PNG")


@torch.no_grad()
def _chains(model: GenerativeModel) -> tuple[Tensor, list[int]]:
    """Return states of a few trajectories, chain by chain, and the numbers of those states."""
    generator = seeds.generator(1, model.device)
    states = list(model.sampler().trajectory(model, _CHAINS, generator=generator))
    spaced = {round(len(states) ** (i / (_STATES - 1))) for i in range(_STATES)}
    shown = sorted(spaced)
    kept = [model.present(states[i - 1]) for i in shown]
    return torch.stack(kept, dim=1).flatten(0, 1), shown


def _completed(model: SupportsCompletion, x: Tensor) -> Tensor:
    known = torch.zeros(x.shape[1:], dtype=torch.bool)
    known[..., : x.shape[-2] // 2, :] = True
    return model.complete(x, known, generator=seeds.generator(2))


def _spread(filters: Tensor) -> Tensor:
    """Return filters scaled into [0, 1] with zero at one half."""
    peak = filters.abs().flatten(1).amax(1).clamp_min(1e-12)
    return 0.5 + 0.5 * filters / peak.view(-1, *[1] * (filters.ndim - 1))
