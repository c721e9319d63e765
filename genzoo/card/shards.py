"""The card of a dataset of shards: README.md, as the Hub shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genzoo.card.escaping import code, escaped, fenced
from genzoo.card.model import paragraph_of
from genzoo.data.dataset import Dataset, DataSource
from genzoo.files import replace_text
from genzoo.model_files import CARD
from genzoo.version import __version__


def write_dataset_card(
    folder: Path, name: str, source: type[DataSource] | None, splits: Mapping[str, Dataset]
) -> None:
    """Write the card of a folder of shards.

    Arguments:
        folder: The folder.
        name: The name of the data.
        source: Their source, whose description it has.
        splits: The rows of each split.

    Raises:
        DiskFullError: No space is left.
    """
    first = next(iter(splits.values()))
    lines = ["---", "tags:", "- genzoo", "---", "", f"# {escaped(Path(name).name)}", ""]
    if source is not None and not source.located:
        lines += [str(escaped(paragraph_of(source))), ""]
    lines += ["| split | rows |", "| --- | ---: |"]
    lines += [f"| {escaped(split)} | {len(data)} |" for split, data in splits.items()]
    lines += ["", "| field | what it holds |", "| --- | --- |"]
    lines += [
        f"| {code(field)} | {escaped(space.describe())} |"
        for field, space in first.info.fields.items()
    ]
    # Of a folder that was pushed; a local one is named by its path.
    command = "genzoo train vae --data USER/NAME --data.streaming --output runs/vae"
    lines += ["", "Stream it:", "", str(fenced(command, "bash")), ""]
    sheet = f"{code('genzoo-data.json')} has the space of each field."
    lines += [f"Levels are stored as whole numbers; {sheet} genzoo {escaped(__version__)}.", ""]
    replace_text(folder / CARD.name, "\n".join(lines))
