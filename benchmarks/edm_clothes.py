"""EDM against the ddpm of the same network: clothes by text at 18 steps of Heun's method.

Both recipes have the same network, batches and number of updates, so nearly the same time. Each is
trained with each seed, unless its folder already has a model; an interrupted training resumes.
The samples of a seed have the same noise, captions and reference rows for both. A figure is the
Fréchet distance of features of fashion-cnn without guidance, with both spacings of the times: the
ddpm's first time has a noise of 2e4, EDM's of 80, and neither spacing suits both. The last lines
compare EDM at "linspace", the steps of its paper, with the better spacing of the ddpm.

Usage: python benchmarks/edm_clothes.py [--output runs/edm-clothes] [--seeds 0 1 2] [--num 5000]
    [--num-inference-steps 18] [--max-steps N]
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, say

import genzoo
from genzoo.plugin import Component, Estimate, make
from genzoo.recipes import train

RECIPES = Path(__file__).parent / "recipes"
MODELS = ("ddpm", "edm")
SPACINGS = ("linspace", "trailing")
METRIC = Component(name="frechet-feature-distance", config={"extractor": "fashion-cnn"})


def recipe_of(name: str, seed: int, max_steps: int | None) -> genzoo.Recipe:
    """Return a model's recipe with a seed, and with another number of updates if it is given."""
    recipe = genzoo.Recipe.read(RECIPES / f"clothes-{name}.toml")
    if max_steps is not None:
        stages = tuple(
            replace(stage, trainer={**stage.trainer, "max_steps": max_steps, "warmup_steps": 0})
            for stage in recipe.stages or ()
        )
        recipe = replace(recipe, stages=stages)
    return replace(recipe, trainer=replace(recipe.trainer, seed=seed))


def trained(recipe: genzoo.Recipe, folder: Path) -> Any:
    """Return the model of a recipe, which is trained, or trained further, if it is not there."""
    if not (folder / "config.json").is_file():
        begun = any((folder / "checkpoints").glob("*"))
        train(recipe, folder, resume=begun, overwrite=not begun)
    return genzoo.GenModel.from_pretrained(folder)


def distance(
    model: Any, data: Any, spacing: str, seed: int, given: argparse.Namespace
) -> Estimate:
    """Return the Fréchet distance of samples by Heun's method."""
    steps = {"num_inference_steps": given.num_inference_steps, "timestep_spacing": spacing}
    sampler = make("samplers", Component(name="heun", config=steps))
    # Half of the rows give the captions, the other half is the reference.
    rows = 2 * given.num
    found = genzoo.evaluate(model, data, [METRIC], sampler=sampler, seed=seed, max_examples=rows)
    return found.figures["frechet-feature-distance[fashion-cnn]"]


def compared(figures: Mapping[tuple[str, str], list[Estimate]]) -> str:
    """Return the ratio of the means, and the paired differences of the seeds."""
    edm = [one.value for one in figures["edm", "linspace"]]
    best = min(SPACINGS, key=lambda spacing: _mean(figures["ddpm", spacing]))
    ddpm = [one.value for one in figures["ddpm", best]]
    differences = [a - b for a, b in zip(edm, ddpm, strict=True)]
    errors = [
        math.hypot(a.std_error or 0.0, b.std_error or 0.0)
        for a, b in zip(figures["edm", "linspace"], figures["ddpm", best], strict=True)
    ]
    each = ", ".join(f"{d:+.3f} ± {e:.3f}" for d, e in zip(differences, errors, strict=True))
    ratio = statistics.fmean(edm) / statistics.fmean(ddpm)
    return f"EDM (linspace) / ddpm ({best}): {ratio:.3f}; differences by seed: {each}"


def _mean(estimates: list[Estimate]) -> float:
    return statistics.fmean(one.value for one in estimates)


def main() -> None:
    """Print a line for each seed, model and spacing, and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/edm-clothes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--num", type=int, default=5000, help="samples, 50 to 5,000")
    parser.add_argument("--num-inference-steps", type=int, default=18)
    parser.add_argument("--max-steps", type=int, help="updates; by default those of the recipes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.num:,} samples, {given.num_inference_steps} steps of Heun")
    say("| model | spacing | seed | Fréchet distance | of held-out data |", "| --- " * 5 + "|")
    figures: dict[tuple[str, str], list[Estimate]] = {}
    for seed in given.seeds:
        for name in MODELS:
            recipe = recipe_of(name, seed, given.max_steps)
            model = trained(recipe, given.output / f"{name}-{seed}")
            data = genzoo.load_dataset(recipe.data.name, split="test", **recipe.data.config)
            for spacing in SPACINGS:
                found = distance(model, data, spacing, seed, given)
                figures.setdefault((name, spacing), []).append(found)
                held_out = found.reference.value if found.reference else math.nan
                value = f"{found.value:.3f} ± {found.std_error or math.nan:.3f}"
                say(f"| {name} | {spacing} | {seed} | {value} | {held_out:.3f} |")
    say(compared(figures))


if __name__ == "__main__":
    main()
