"""genzoo compare."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import Any

from genzoo.cli.arguments import CompareArguments, Peeked
from genzoo.cli.data import data_of, peeked_data, sections_of
from genzoo.cli.evaluate import metric_sections, metrics_of
from genzoo.cli.fields import extended
from genzoo.cli.texts import write
from genzoo.comparison import compare_runs
from genzoo.errors import ConfigError
from genzoo.files import replace_text
from genzoo.plotting import to_image, write_picture


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``compare`` with the fields of the named data and metrics."""
    sections = sections_of(peeked_data(peeked), peeked) if "data" in peeked.flags else {}
    return extended(CompareArguments, {**sections, **metric_sections(peeked)})


def run(arguments: Any) -> None:
    """Compare the runs, print the table, and draw their curves if a file is given."""
    if arguments.output is not None and arguments.output.suffix != ".png":
        raise ConfigError(f"--output must end in .png, got {str(arguments.output)!r}.")
    if arguments.data_name is None and (arguments.split or arguments.data_y_name):
        raise ConfigError("--split and --data-y belong to --data: give --data too.")
    data = None
    if arguments.data_name is not None:
        given = vars(arguments) | {"folder": str(arguments.runs[0]), "revision": None}
        data = data_of(SimpleNamespace(**given))
    found = compare_runs(
        arguments.runs,
        data,
        metrics_of(arguments) or None,
        seed=arguments.seed,
        max_examples=arguments.max_examples,
        device=arguments.device,
    )
    write(found.text(shutil.get_terminal_size((80, 24)).columns))
    if arguments.json is not None:
        texts = {name: evaluation.to_dict() for name, evaluation in found.evaluations.items()}
        replace_text(arguments.json, json.dumps(texts, indent=2, allow_nan=False) + "\n")
    if arguments.output is not None:
        write_picture(to_image(found.plot()), arguments.output)
        write(f"The curves are in {arguments.output}.")
