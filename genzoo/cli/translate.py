"""genzoo translate: translate data to the other domain and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.capabilities import SupportsTranslate
from genzoo.cli.arguments import Peeked, TranslateArguments
from genzoo.cli.data import data_of, with_data_fields
from genzoo.cli.folders import model_of
from genzoo.cli.texts import write
from genzoo.data import draw_rows
from genzoo.errors import CapabilityError, ConfigError
from genzoo.files import atomic_file
from genzoo.plotting import strips, write_picture
from genzoo.sample_metadata import KEY
from genzoo.translating import Cycle, there_and_back


def arguments_for(peeked: Peeked) -> type:
    """Return the arguments of ``translate`` with the fields of the named data."""
    return with_data_fields(TranslateArguments, peeked)


def run(arguments: Any) -> None:
    """Translate data, and write the strips or the arrays."""
    if arguments.output.suffix not in (".png", ".npz"):
        raise ConfigError(f"--output must end in .png or .npz, got {str(arguments.output)!r}.")
    model = model_of(arguments.folder, arguments.revision, arguments.device)
    if not isinstance(model, SupportsTranslate):
        raise CapabilityError(
            f"{type(model).__name__} does not translate. Draw samples from it: genzoo sample."
        )
    failures = arguments.view == "failures"
    num = arguments.max_examples if failures else arguments.num
    rows = draw_rows(data_of(arguments), num, seed=arguments.seed)
    source = rows["y"] if arguments.to == "x" and "y" in rows else rows["x"]
    cycle = there_and_back(model, source, to=arguments.to)
    told = _told(cycle, arguments)
    _write(cycle.worst(arguments.num) if failures else cycle, arguments.output, told)
    write(f"{told}: {arguments.output}.")


def _told(cycle: Cycle, arguments: Any) -> str:
    """Describe the output and the cycle error."""
    errors = cycle.errors()
    num = min(arguments.num, len(errors))
    what = f"{num} examples"
    if arguments.view == "failures":
        what = f"The {num} of {len(errors)} examples with the largest cycle error"
    return f"{what}, translated to {arguments.to} and back (cycle error {errors.mean():.4f})"


def _write(cycle: Cycle, output: Path, caption: str) -> None:
    if output.suffix == ".png":
        texts = {KEY: json.dumps({"caption": f"From top to bottom: {caption}."})}
        write_picture(strips(cycle.stages()), output, texts=texts)
        return
    source, translated, back = (stage.float().numpy() for stage in cycle.stages())
    with atomic_file(output) as temporary:
        np.savez(temporary, source=source, translated=translated, back=back)
