"""How long a step of each stage of a recipe takes, recipe after recipe, in one run.

Every stage is cut to twice as many steps as are timed: the first half warms up. What a whole stage
takes is its steps times that; pauses, checkpoints and pictures come on top.

Usage: python benchmarks/recipe_speed.py RECIPE... [--rounds 3] [--steps 15]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import statistics
import tempfile
from pathlib import Path

import torch
from timing import circumstances, say

import genzoo
from genzoo.recipes import train


def cut(recipe: genzoo.Recipe, steps: int) -> genzoo.Recipe:
    """Return a recipe of twice as many steps a stage, with a line of its log for each half."""
    stages = [
        dataclasses.replace(stage, trainer={**stage.trainer, "max_steps": 2 * steps})
        for stage in recipe.stages
    ]
    trainer = dataclasses.replace(
        recipe.trainer, logging_steps=steps, save_steps=0, sample_steps=0, progress=False
    )
    return dataclasses.replace(recipe, stages=tuple(stages), trainer=trainer)


def seconds(recipe: genzoo.Recipe, steps: int) -> list[float]:
    """Return the seconds of a step of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        train(cut(recipe, steps), Path(folder) / "run")
        lines = map(json.loads, (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines())
        rates = [line["examples_per_second"] for line in lines if line["step"] == 2 * steps]
    sizes = [stage.trainer.get("batch_size", 64) for stage in recipe.stages]
    return [size / rate for size, rate in zip(sizes, rates, strict=True)]


def main() -> None:
    """Print seconds a step and minutes a stage: the median, and the range over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=15)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    recipes = {path: genzoo.Recipe.read(path) for path in given.recipes}
    found: dict[Path, list[list[float]]] = {path: [] for path in recipes}
    for _ in range(given.rounds):
        for path, recipe in recipes.items():
            found[path].append(seconds(recipe, given.steps))
    say(circumstances(1))
    for path, rounds in found.items():
        for stage, times in enumerate(zip(*rounds, strict=True)):
            middle, steps = (
                statistics.median(times),
                recipes[path].stages[stage].trainer["max_steps"],
            )
            say(
                f"{path.stem}, stage {stage}: {middle:.3f} s a step ({min(times):.3f} to "
                f"{max(times):.3f}); {steps} steps: {steps * middle / 60:.1f} min"
            )


if __name__ == "__main__":
    main()
