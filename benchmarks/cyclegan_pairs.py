"""CycleGAN between domains of a known bijection T: how near translations are to the truth.

Trains each recipe once a seed, without pairs, and compares G(x) with T(x) on the aligned test
rows, in [0, 1]: mean absolute error over pixels. Next to it stand controls: x itself, the mean
image of the second domain, T of another test image, and a regression of the same network on pairs
by as many updates of the same optimiser. The class is kept where fashion-cnn gives T⁻¹(G(x)) the
label that it gives x; it takes 28 × 28 pixels, so those of smaller images are doubled.

Usage: python benchmarks/cyclegan_pairs.py RECIPE… --output FOLDER [--seeds 0 1 2] [--threads 1]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, say
from torch import Tensor

import genzoo
import genzoo.plugin
from genzoo import registry
from genzoo.recipes import make_trainer
from genzoo.translating import there_and_back
from genzoo_datasets.bijections import Bijection
from genzoo_datasets.classifier import load_classifier

Figures = dict[str, float]


def main() -> None:
    """Train, judge, and print a line for each run and one for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    say(circumstances(given.threads))
    for path in given.recipes:
        recipe = genzoo.Recipe.read(path)
        test = genzoo.load_dataset(recipe.data.name, "test", **recipe.data.config)
        rows = test.head(len(test))
        bijection = registry.load("datasets", recipe.data.name).bijection
        say(f"{path.stem}, {len(test):,} test rows; {controls(recipe, rows)}")
        found = []
        for seed in given.seeds:
            folder = given.output / f"{path.stem}-{seed}"
            seeded = with_seed(recipe, seed, given.threads)
            seconds = trained(seeded, folder)
            figures = judged(folder, rows, bijection) | supervised(seeded, rows, bijection)
            found.append(figures)
            say(f"  seed {seed}: {line(figures)}; {seconds}")
        say(f"  mean ± spread: {summary(found)}")


def with_seed(recipe: genzoo.Recipe, seed: int, threads: int) -> genzoo.Recipe:
    """Return a recipe of another seed."""
    trainer = dataclasses.replace(recipe.trainer, seed=seed, threads=threads, progress=False)
    return dataclasses.replace(recipe, trainer=trainer)


def trained(recipe: genzoo.Recipe, folder: Path) -> str:
    """Train into a folder, unless a model is there; say how long it took."""
    if (folder / "model.safetensors").exists():
        return "as it was in the folder"
    wall, cpu = time.perf_counter(), time.process_time()
    genzoo.train(recipe, folder, overwrite=True)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"trained in {wall:.0f} s, {cpu:.0f} CPU-s"


def error(a: Tensor, b: Tensor) -> float:
    """Return the mean absolute difference over rows and pixels; grey goes next to colour."""
    return (a - b).abs().mean().item()


def controls(recipe: genzoo.Recipe, rows: Mapping[str, Tensor]) -> str:
    """Return the errors of what knows nothing of T, or nothing of x."""
    x, y = rows["x"], rows["y"]
    mean = genzoo.load_dataset(recipe.data.name, **recipe.data.config).y.mean()
    other = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    return (
        f"controls: identity {error(x, y):.4f}, mean image {error(mean, y):.4f}, another image "
        f"{error(other, y):.4f}"
    )


def judged(folder: Path, rows: Mapping[str, Tensor], bijection: Bijection) -> Figures:
    """Return the figures of a trained model on aligned rows."""
    model, x, y = genzoo.GenModel.from_pretrained(folder), rows["x"], rows["y"]
    there, here = there_and_back(model, x, to="y"), there_and_back(model, y, to="x")
    before = classes(x)
    return {
        "G": error(there.translated, y),
        "F": error(here.translated, x),
        "cycle x": there.errors().mean().item(),
        "cycle y": here.errors().mean().item(),
        "kept by G": kept(classes(bijection.inverse(there.translated)), before),
        "kept by F": kept(classes(here.translated), before),
        "accuracy of G": kept(classes(bijection.inverse(there.translated)), rows["label"]),
        "accuracy of x": kept(before, rows["label"]),
    }


def classes(x: Tensor) -> Tensor:
    """Return what fashion-cnn takes grey images (N, 1, H, W) for."""
    times = 28 // x.shape[-1]
    doubled = x.repeat_interleave(times, -1).repeat_interleave(times, -2)
    return load_classifier("fashion-cnn").predict(doubled.clamp(0, 1))


def kept(after: Tensor, before: Tensor) -> float:
    """Return the share of rows whose class is the same."""
    return (after == before).double().mean().item()


def supervised(recipe: genzoo.Recipe, rows: Mapping[str, Tensor], bijection: Bijection) -> Figures:
    """Return the error of G's network after a regression on the training pairs (x, T(x))."""
    trainer = make_trainer(recipe)
    model, config, data = trainer.model, trainer.plan.configs[0], trainer.plan.data.x
    adam = config.optimizers["translators"]
    optimizer = registry.make("optimizers", adam).build(list(model.G.parameters()))
    total = config.max_steps
    for index, x in zip(range(total), minibatches(data, config.batch_size), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = adam.config["lr"] * (1 - index / total)
        loss = error_of(model, x, bijection)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"supervised": error(there_and_back(model, rows["x"], to="y").translated, rows["y"])}


def error_of(model: Any, x: Tensor, bijection: Bijection) -> Tensor:
    """Return the loss of the regression, in [−1, 1] as CycleGAN's own."""
    difference: Tensor = 2 * (model.translate(x, to="y") - bijection.forward(x))
    return difference.abs().mean()


def minibatches(data: genzoo.plugin.Dataset, size: int) -> Iterator[Tensor]:
    """Yield batches of one permutation of the rows after another, without end."""
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(data), generator=generator)
        for index in order[: len(data) // size * size].view(-1, size):
            yield data.batch(index)["x"]


def line(figures: Figures) -> str:
    """Return the figures in one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items())


def summary(found: list[Figures]) -> str:
    """Return mean and standard deviation over the seeds."""
    spread = {name: [figures[name] for figures in found] for name in found[0]}
    return ", ".join(
        f"{name} {statistics.mean(v):.4f} ± {statistics.stdev(v) if len(v) > 1 else 0:.4f}"
        for name, v in spread.items()
    )


if __name__ == "__main__":
    main()
