"""The summary of a run: its recipe, progress, weights and versions."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genzoo.component import Component
from genzoo.config import abridged
from genzoo.description import read_description
from genzoo.errors import GenzooError
from genzoo.model_files import CARD, CHECKPOINTS, CONFIG, ENVIRONMENT, RECIPE
from genzoo.parsing import strict_json, strict_toml
from genzoo.report.log import Log
from genzoo.report.reading import Text, inside, read_text
from genzoo.stage import Recipe, Stage
from genzoo.storage import FolderSource, OwnModel
from genzoo.training import checkpoint
from genzoo.training.best import figure_of
from genzoo.training.config import TrainerConfig, resolve


@dataclass(frozen=True)
class StageFacts:
    """A stage: its objective and its progress.

    Arguments:
        number: The number of the stage.
        objective: The objective's name; empty if the recipe does not have it.
        part: The part of the model that is trained; empty for the whole model.
        total: The number of updates in the recipe; None if it is not known.
        reached: The number of updates that are known to be made.
        batch_size: The number of examples of an update; None if it is not known.
        figure: The figure that decides which weights are the best; empty if there is none.
        mode: Whether its "min" or its "max" is the best; empty if that is not stated.
    """

    number: int
    objective: str
    part: str
    total: int | None
    reached: int
    batch_size: int | None = None
    figure: str = ""
    mode: str = ""


@dataclass(frozen=True)
class RunSummary:
    """The known facts about a run.

    Arguments:
        model: The model's name; empty if it is not known.
        data: The name of the data.
        stages: The stages.
        recipe: recipe.toml, with long texts abbreviated.
        config: config.json, likewise.
        card: README.md.
        weights: The weights in words; empty if there are none.
        saved: The newest checkpoint; empty if there is none.
        versions: The environment of the run, and the versions that wrote each file.
        notes: Notes on what was left out.
    """

    model: str
    data: str
    stages: tuple[StageFacts, ...]
    recipe: Text
    config: Text
    card: Text
    weights: Mapping[str, str]
    saved: str
    versions: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether the final model exists."""
        return bool(self.weights)

    @property
    def current(self) -> StageFacts | None:
        """The current stage of the run, or None if it is not known."""
        begun = [stage for stage in self.stages if stage.reached]
        return [*self.stages[:1], *begun][-1] if self.stages else None

    @property
    def progress(self) -> float | None:
        """The share of updates that are made, or None if it is not known."""
        total = sum(stage.total or 0 for stage in self.stages)
        if not total or any(stage.total is None for stage in self.stages):
            return None
        return min(1.0, sum(stage.reached for stage in self.stages) / total)


def read_run_summary(folder: Path, log: Log) -> RunSummary:
    """Read the facts about a run from its folder."""
    texts = [read_text(folder, name) for name in (RECIPE.name, CONFIG.name, CARD.name)]
    notes = [file.note for file in texts if file.note]
    recipe = _recipe(texts[0], notes)
    described = _described(folder, texts[1], notes)
    weights = _weights(folder, texts[1], notes)
    saved, position, wrote = _saved(folder, notes)
    plugin = described.get("plugin", {})
    versions = {f"plugin of {CONFIG.name}": " ".join(map(str, plugin.values())), saved: wrote}
    versions = {**_environment(folder, notes), **versions}
    return RunSummary(
        model=described.get("model") or (recipe.model.name if recipe else ""),
        data=recipe.data.name if recipe else "",
        stages=_stages(recipe, log, position, bool(weights)),
        recipe=_shortened_recipe(texts[0], recipe),
        config=_shortened(texts[1], described),
        card=texts[2],
        weights=weights,
        saved=saved,
        versions={source: text for source, text in versions.items() if source and text},
        notes=tuple(notes),
    )


def _shortened(file: Text, described: Mapping[str, Any]) -> Text:
    """Return config.json, with long texts abbreviated."""
    config = described.get("config")
    if config == abridged(config):
        return file
    short = {**described, "config": abridged(config)}
    return Text(file.name, json.dumps(short, indent=2, ensure_ascii=False) + "\n")


def _shortened_recipe(file: Text, recipe: Recipe | None) -> Text:
    """Return recipe.toml, with long texts abbreviated."""
    if recipe is None or recipe.model.config == abridged(recipe.model.config):
        return file
    model = Component(name=recipe.model.name, config=abridged(recipe.model.config))
    return Text(file.name, dataclasses.replace(recipe, model=model).to_toml())


def _environment(folder: Path, notes: list[str]) -> dict[str, str]:
    """Return the run's environment from environment.json."""
    file = read_text(folder, ENVIRONMENT.name)
    if file.text is None:
        return {}
    try:
        return {str(key): str(value) for key, value in strict_json(file.text).items()}
    except (ValueError, AttributeError):
        notes.append(f"{ENVIRONMENT.name} is damaged and not shown.")
        return {}


def _recipe(file: Text, notes: list[str]) -> Recipe | None:
    """Return the recipe, or None with a note if this version cannot read it."""
    if file.text is None:
        return None
    try:
        return Recipe.from_dict(strict_toml(file.text))
    except (GenzooError, ValueError) as error:
        notes.append(f"{RECIPE.name} is shown, but is not a recipe of this version: {error}")
        return None


def _described(folder: Path, file: Text, notes: list[str]) -> dict[str, Any]:
    """Return the content of config.json, or nothing with a note if it is refused."""
    if file.text is None:
        return {}
    try:
        return read_description(folder)
    except GenzooError as error:
        notes.append(f"{CONFIG.name} is shown, but would not be loaded: {error}")
        return {}


def _weights(folder: Path, config: Text, notes: list[str]) -> dict[str, str]:
    """Return the size of the weights, from their headers."""
    if config.text is None:
        return {}
    try:
        files = OwnModel(FolderSource(folder)).weights
    except (GenzooError, OSError) as error:
        notes.append(str(error))
        return {}
    num = sum(math.prod(shape) for _, _, shape in files.headers.values())
    return {
        "values": f"{num:,}",
        "tensors": f"{len(files.headers):,}",
        "size": f"{files.num_bytes() / 1e6:,.2f} MB",
    }


def _saved(folder: Path, notes: list[str]) -> tuple[str, tuple[int, int], str]:
    """Return the newest checkpoint's name, its stage and step, and its versions."""
    try:
        checkpoints = checkpoint.list_checkpoints(inside(folder, CHECKPOINTS.name))
    except (OSError, GenzooError) as error:
        notes.append(f"checkpoints are not read: {error}")
        return "", (0, 0), ""
    if not checkpoints:
        return "", (0, 0), ""
    name = checkpoints[-1].name
    _, stage, _, step = name.split("-")
    manifest = read_text(folder, CHECKPOINTS.name, name, "manifest.json")
    try:
        versions = strict_json(manifest.text or "")["versions"]
        wrote = ", ".join(f"{package} {version}" for package, version in versions.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        notes.append(f"{name} has no readable manifest, so it may be incomplete.")
        wrote = ""
    return name, (int(stage), int(step)), wrote


def _stages(
    recipe: Recipe | None, log: Log, saved: tuple[int, int], finished: bool
) -> tuple[StageFacts, ...]:
    """Return the stages in the recipe or the log."""
    stages = recipe.stages if recipe else ()
    begun = max([saved[0], *log.last])
    facts = []
    for number in sorted({*range(len(stages)), *log.last}):
        known = number < len(stages)
        stage = stages[number] if known else None
        values = resolve(recipe.trainer, stage.trainer) if recipe and stage else None
        total = values.max_steps if values else None
        reached = max(log.last.get(number, 0), saved[1] if number == saved[0] else 0)
        ended = finished and number not in log.last  # A stage that stopped early has fewer.
        if total is not None and (ended or number < begun):
            reached = total
        name, part = (stage.objective.name, _part(stage)) if stage else ("", "")
        facts.append(StageFacts(number, name, part, total, reached, **_values(values)))
    return tuple(facts)


def _values(config: TrainerConfig | None) -> dict[str, Any]:
    """Return what `StageFacts` has of the training values of a stage."""
    if config is None:
        return {}
    figure, mode = figure_of(config) or "", config.metric_mode or ""
    return {"batch_size": config.batch_size, "figure": figure, "mode": mode}


def _part(stage: Stage) -> str:
    """Return the dotted names of what a stage trains; empty for the whole model."""
    names = [stage.part] if isinstance(stage.part, str) else stage.part
    return ", ".join(".".join(filter(None, [stage.model, name])) for name in names)
