"""genzoo data export: a dataset as shards, to be streamed."""

from __future__ import annotations

from genzoo.card.shards import write_dataset_card
from genzoo.cli.sharing_arguments import DataArguments
from genzoo.cli.texts import command_line, write_steps
from genzoo.data import Dataset, find_source, load_split
from genzoo.data.streams.export import export
from genzoo.errors import counted


def run(arguments: DataArguments) -> None:
    """Write the shards and their card, and print the next steps."""
    cls, location = find_source(arguments.data_name)
    source = cls(cls.Config(), location)
    names = source.splits() if arguments.split is None else (arguments.split,)
    splits: dict[str, Dataset] = {}
    for name in names:
        data = load_split(source, name)
        splits[data.split] = data
    folder = arguments.output
    shards = export(splits, folder, arguments.format, arguments.shard_rows)
    write_dataset_card(folder, arguments.data_name, cls, splits)
    rows = counted(sum(map(len, splits.values())), "row")
    train = ("genzoo", "train", "vae", "--data", str(folder), "--data.streaming")
    steps = [
        command_line(*train, "--output", "runs/vae"),
        command_line("hf", "upload", "USER/NAME", str(folder), "--repo-type", "dataset"),
    ]
    write_steps(f"{rows} are in {counted(len(shards), 'shard')} in {folder}.", steps)
