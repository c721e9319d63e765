"""genzoo evaluate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from genzoo import GenModel
from genzoo.cli.arguments import EvaluateArguments, Peeked
from genzoo.cli.fields import changed, extended, section
from genzoo.config import Config
from genzoo.data import Dataset, find_source, load_dataset
from genzoo.errors import ConfigError
from genzoo.evaluation import evaluate
from genzoo.files import atomic_file, write_text
from genzoo.stage import Named, Recipe


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``evaluate`` with the fields of the data that are named."""
    data = _data(peeked.positional, peeked.flags.get("data"))
    return EvaluateArguments if data is None else extended(EvaluateArguments, _sections(data))


def run(arguments: Any) -> None:
    """Judge the model, and print its figures."""
    model = GenModel.from_pretrained(arguments.folder, device=arguments.device)
    result = evaluate(
        model,
        _load(arguments),
        arguments.metrics or None,
        seed=arguments.seed,
        max_examples=arguments.max_examples,
    )
    sys.stdout.write(f"{result}\n")
    if arguments.json is not None:
        with atomic_file(arguments.json) as temporary:
            write_text(temporary, json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n")


def _load(arguments: Any) -> Dataset:
    data = _data(arguments.folder, arguments.data_name)
    if data is None:
        raise ConfigError(
            f"Which data? {arguments.folder!r} is no training run's folder: give --data."
        )
    given = changed(arguments.data, _sections(data)["data"])
    return load_dataset(data.name, arguments.split, **{**data.config, **given})


def _data(folder: str, name: str | None) -> Named | None:
    """Return the data that are named; a run's own with all values of its training but a limit."""
    path = Path(folder, "recipe.toml")
    if path.is_file():
        own = Recipe.read(path).data
        if name in (None, own.name):
            values = {key: value for key, value in own.config.items() if key != "limit"}
            return Named(name=own.name, config=values)
    return None if name is None else Named(name=name)


def _sections(data: Named) -> dict[str, Config]:
    return {"data": section(find_source(data.name)[0].Config, data.config)}
