"""genzoo evaluate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from genzoo import GenModel
from genzoo.cli.arguments import EvaluateArguments
from genzoo.data import Dataset, load_dataset
from genzoo.errors import ConfigError
from genzoo.evaluation import evaluate
from genzoo.files import atomic_file, write_text
from genzoo.stage import Named, Recipe


def run(arguments: EvaluateArguments) -> None:
    """Judge the model, and print its figures."""
    model = GenModel.from_pretrained(arguments.folder, device=arguments.device)
    result = evaluate(
        model,
        _data(arguments),
        arguments.metrics or None,
        seed=arguments.seed,
        max_examples=arguments.max_examples,
    )
    sys.stdout.write(f"{result}\n")
    if arguments.json is not None:
        with atomic_file(arguments.json) as temporary:
            write_text(temporary, json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n")


def _data(arguments: EvaluateArguments) -> Dataset:
    """Return the data asked for; a run's own data are read as they were in training."""
    own = _data_of_run(Path(arguments.folder))
    if arguments.data is None and own is None:
        raise ConfigError("Which data? Give --data.")
    named = own if arguments.data is None or own is None or own.name == arguments.data else None
    named = named or Named(name=str(arguments.data))
    values: dict[str, Any] = {k: v for k, v in named.config.items() if k != "limit"}
    if arguments.binarize is not None:
        values["binarize"] = arguments.binarize
    return load_dataset(named.name, arguments.split, **values)


def _data_of_run(folder: Path) -> Named | None:
    path = folder / "recipe.toml"
    return Recipe.read(path).data if path.exists() else None
