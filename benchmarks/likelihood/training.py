"""Recipes for a number of minutes of one core, and models trained by them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import genzoo
from genzoo import registry, seeds
from genzoo.data.holding_out import HELD_OUT
from genzoo.errors import ConfigError
from genzoo.files import replace_text
from genzoo.model import Model
from genzoo.stage import Recipe, Stage
from genzoo.training.callbacks import Callback, TrainerState
from likelihood.rows import Data
from likelihood.subjects import Subject

logger = logging.getLogger("genzoo")

FIRST, MOST, SECONDS = 8, 1000, 3.0
"""A stage is timed by so few updates, then again by as many as take some seconds."""
_HEADER = """\
# {name} on {data}: {minutes:g} minutes of one core.
# Written by benchmarks/likelihood_table.py from the model's own defaults; {steps} updates.
"""
_NOT_BINARY = "# It takes the zeros and ones as {space}, which benchmarks/likelihood/ makes.\n"


class Clock(Callback):
    """Records the CPU time after each update of each stage."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = {}

    def on_step(self, state: TrainerState, row: Mapping[str, Any] | None) -> None:
        """Record an update."""
        self.times.setdefault(state.stage, []).append(time.process_time())

    def seconds(self) -> list[float]:
        """Return the mean CPU seconds of an update of each stage, without its first quarter."""
        kept = [times[len(times) // 4 :] for _, times in sorted(self.times.items())]
        return [max((times[-1] - times[0]) / (len(times) - 1), 1e-9) for times in kept]


class Spent(Callback):
    """Keeps the CPU seconds of a run in its folder, so that a resumed run adds to them.

    Arguments:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, spent(path)
        self.began = time.process_time()

    def on_checkpoint(self, state: TrainerState, path: Path) -> None:
        """Store the seconds of the work that a resumed run does not repeat."""
        self._store()

    def on_end(self, state: TrainerState) -> None:
        """Store the seconds of the whole run."""
        self._store()

    def _store(self) -> None:
        seconds = self.before + time.process_time() - self.began
        replace_text(self.path, json.dumps({"cpu": seconds}))


def spent(path: Path) -> float:
    """Return the CPU seconds in a file of `Spent`; 0 without one."""
    return float(json.loads(path.read_text("utf-8"))["cpu"]) if path.exists() else 0.0


def with_steps(stages: Sequence[Stage], steps: Sequence[int]) -> tuple[Stage, ...]:
    """Return stages with other numbers of updates."""
    each = zip(stages, steps, strict=True)
    return tuple(replace(s, trainer={**s.trainer, "max_steps": num}) for s, num in each)


def shared_out(seconds: Sequence[float], defaults: Sequence[int], budget: float) -> list[int]:
    """Return the number of updates of each stage, in proportion to the defaults.

    Arguments:
        seconds: The seconds of an update of each stage.
        defaults: The updates of each stage by default.
        budget: The seconds of all stages together.
    """
    total = sum(s * num for s, num in zip(seconds, defaults, strict=True))
    return [max(1, round(budget / total * num)) for num in defaults]


def seconds_per_update(
    time_them: Callable[[Sequence[int]], list[float]], num_stages: int
) -> list[float]:
    """Return the CPU seconds of an update of each stage.

    Arguments:
        time_them: Returns them from a run with some number of updates of each stage.
        num_stages: The number of stages.
    """
    rough = time_them([FIRST] * num_stages)
    steps = [min(MOST, max(FIRST, int(SECONDS / s))) for s in rough]
    return rough if max(steps) == FIRST else time_them(steps)


def fitted_recipe(subject: Subject, data: Data, minutes: float) -> Recipe:
    """Return the model's defaults with as many updates as a number of CPU minutes allows."""
    bare = Recipe(
        model=genzoo.Component(name=subject.name),
        data=genzoo.Component(name=data.name, config=data.values),
        trainer=genzoo.TrainerConfig(threads=1, sample_steps=0, progress=False),
    )
    first = make_trainer(bare, subject)
    stages, defaults = first.plan.stages, [c.max_steps or 1 for c in first.plan.configs]

    def time_them(steps: Sequence[int]) -> list[float]:
        trainer, clock = (
            make_trainer(replace(bare, stages=with_steps(stages, steps)), subject),
            Clock(),
        )
        trainer.callbacks.append(clock)
        trainer.fit()
        return clock.seconds()

    seconds = seconds_per_update(time_them, len(stages))
    steps = shared_out(seconds, defaults, 60 * minutes)
    each = ", ".join(f"{num} of {1e3 * s:.3g} ms" for num, s in zip(steps, seconds, strict=True))
    logger.info("%s: %g CPU minutes are updates by stage: %s", subject.name, minutes, each)
    # With the defaults of today, because a stored recipe must not change with them.
    model = registry.describe(first.model)
    return replace(bare, model=model, stages=with_steps([_explicit(s) for s in stages], steps))


def _explicit(stage: Stage) -> Stage:
    """Return a stage with every value of its objective."""
    config = registry.config_of("objectives", stage.objective).to_dict()
    return replace(stage, objective=replace(stage.objective, config=config))


def recipe_for(subject: Subject, data: Data, minutes: float, folder: Path) -> Recipe:
    """Return the stored recipe of a model; without one, make and store it.

    Raises:
        ConfigError: The stored recipe is for another model or for other data.
    """
    path = folder / f"{subject.name}.toml"
    if path.exists():
        recipe = Recipe.read(path)
        _check(recipe, subject, data, path)
        return recipe
    recipe = fitted_recipe(subject, data, minutes)
    steps = " + ".join(str(stage.trainer["max_steps"]) for stage in recipe.stages)
    head = _HEADER.format(name=subject.name, data=data.name, minutes=minutes, steps=steps)
    if subject.rows(data.test) is not data.test:
        how = subject.space if subject.measure == "mass" else "(x + u)/2 with uniform noise u"
        head += _NOT_BINARY.format(space=how)
    replace_text(path, f"{head}\n{recipe.to_toml()}")
    return recipe


def _check(recipe: Recipe, subject: Subject, data: Data, path: Path) -> None:
    """Raise ConfigError unless a stored recipe is for this model and draw."""
    keys = ("binarize", "binarize_seed")
    drawn = {key: recipe.data.config[key] for key in keys if key in recipe.data.config}
    # A recipe may state the default seed.
    drawn = {key: value for key, value in drawn.items() if (key, value) != ("binarize_seed", 0)}
    if (recipe.model.name, recipe.data.name, drawn) != (subject.name, data.name, data.values):
        raise ConfigError(
            f"The recipe {path} is for {recipe.model.name} on {recipe.data.name} {drawn}, not for "
            f"{subject.name} on {data.name} {data.values}. Choose another folder with --recipes."
        )


def make_trainer(recipe: Recipe, subject: Subject, output: Path | None = None) -> genzoo.Trainer:
    """Return the trainer of a recipe, on rows as the subject takes them.

    `genzoo.recipes.make_trainer` would take the rows as they are loaded.
    """

    def rows(split: str) -> genzoo.data.Dataset:
        loaded = genzoo.load_dataset(recipe.data.name, split, **recipe.data.config)
        return subject.rows(loaded)

    data = rows("train")
    held_out = rows(HELD_OUT) if recipe.data.config.get("valid_fraction") else None
    cls = registry.load("models", recipe.model.name)
    config = cls.configure(data.info, **recipe.model.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive_seed(recipe.trainer.seed, "model"))
        model = cls(config)
    stages = recipe.stages or None
    return genzoo.Trainer(
        model, data, stages, recipe.trainer, eval_data=held_out, output_dir=output
    )


def trained(recipe: Recipe, subject: Subject, seed: int, folder: Path) -> tuple[Model, float]:
    """Return a model of one seed and the CPU seconds of its training; a stopped run goes on."""
    path = folder / "cpu-seconds.json"
    if not (folder / "config.json").exists():
        resume = (folder / "recipe.toml").exists()
        recipe = replace(recipe, trainer=replace(recipe.trainer, seed=seed))
        trainer = make_trainer(recipe, subject, folder)
        trainer.callbacks.append(Spent(path))
        trainer.fit(resume=resume)
    return genzoo.GenModel.from_pretrained(folder), spent(path)
