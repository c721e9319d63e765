"""How soon a text-conditional model draws what its texts say.

With its averaged weights and guidance each checkpoint draws a picture for each caption of the
test split, and the recognizer of the data says whether it shows what the caption says. Minutes
are those of the training steps, added up from the run's own log, so that pauses do not count;
stages add up. Of real rows the recognizer finds what their captions say in the share that is
given as "data".

Usage: python benchmarks/caption_obedience.py RUN [--every 1] [--num 1000] [--guidance-scale 2]
    [--sampler ddim] [--num-inference-steps 50] [--split test]
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from timing import circumstances, say

import genzoo
import genzoo.plugin
from genzoo import registry
from genzoo.recipes import make_trainer

_POSITION = re.compile(r"stage-(\d+)-step-(\d+)")


def minutes(log: Path, batch_size: list[int]) -> dict[tuple[int, int], float]:
    """Return the minutes of training up to each line of a run's log, by (stage, step)."""
    found, total, before = {}, 0.0, (0, 0)
    for line in map(json.loads, log.read_text().splitlines()):
        at = line["stage"], line["step"]
        steps = at[1] - (before[1] if at[0] == before[0] else 0)
        total += steps * batch_size[at[0]] / line["examples_per_second"] / 60
        found[at], before = total, at
    return found


def checkpoints(run: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield each checkpoint's position and its averaged weights, or its weights."""
    for folder in sorted((run / "checkpoints").iterdir()):
        match = _POSITION.fullmatch(folder.name)
        if match:
            average = folder / "average.safetensors"
            path = average if average.exists() else folder / "model.safetensors"
            yield (int(match[1]), int(match[2])), path


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Return a model's weights, of a file of averaged ones or of others."""
    found = load_file(path)
    found.pop("n_averaged", None)
    return {name.removeprefix("module."): tensor for name, tensor in found.items()}


def obeyed(
    model: genzoo.plugin.GenerativeModel, data: genzoo.plugin.Dataset, given: argparse.Namespace
) -> str:
    """Return the share of captions that are obeyed, its error, and that of real rows."""
    values = {
        "num_inference_steps": given.num_inference_steps,
        "guidance_scale": given.guidance_scale,
    }
    cls = registry.load("samplers", given.sampler)
    found = genzoo.evaluate(
        model,
        data,
        ["caption-obeyed"],
        sampler=cls(cls.Config.from_dict(values)),
        seed=given.seed,
        max_examples=2 * given.num,  # Of which one half gives the captions.
    )
    figure = found.figures["caption-obeyed"]
    return f"{figure.value:.3f} ± {figure.std_error:.3f} (data {figure.reference.value:.3f})"


def main() -> None:
    """Print a line for each checkpoint of the last stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--guidance-scale", type=float, default=2.0)
    parser.add_argument("--sampler", default="ddim")
    parser.add_argument("--num-inference-steps", type=int, default=50)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = genzoo.Recipe.read(given.run / "recipe.toml")
    trainer = make_trainer(recipe)
    stages = recipe.stages or trainer.model.default_stages(trainer.model.config)
    sizes = [int(stage.trainer.get("batch_size", 64)) for stage in stages]
    spent = minutes(given.run / "metrics.jsonl", sizes)
    data = genzoo.load_dataset(recipe.data.name, split=given.split, **recipe.data.config)
    say(circumstances(1))
    last = [(at, path) for at, path in checkpoints(given.run) if at[0] == len(stages) - 1]
    for at, path in last[given.every - 1 :: given.every]:
        trainer.model.load_state_dict(weights(path))
        share = obeyed(trainer.model.eval(), data, given)
        say(f"stage {at[0]}, step {at[1]:>6}, {spent[at]:5.1f} min: {share}")


if __name__ == "__main__":
    main()
