"""Run by the tests: sample and evaluate, in one process or in those of a group.

Usage: shared_work.py FOLDER

What each process finds goes to FOLDER/RANK, what the commands write to FOLDER/written.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import torch

import families  # noqa: F401  Registers the toys.
import genzoo
from genzoo import launching, sampling
from genzoo.cli import main as command
from genzoo.evaluation import accuracy, features, metric
from genzoo.process_group import (
    divided_work,
    from_main,
    is_main,
    main_first,
    map_blocks,
    num_processes,
    on_main,
)

RANK = int(os.environ.get("RANK", "0"))
MODELS = {
    "made": ["log-likelihood", "two-sample", "precision-recall", "kernel-feature-distance"],
    "vae": None,
    "rbm": ["log-likelihood", "frechet-feature-distance", "chain-diagnostics"],
}
"""Installed models, and the metrics that judge them; None for all."""
drawn = []
"""The numbers of the blocks that this process draws."""


class OneArgumentTooMany(genzoo.GenzooError):
    """An error that cannot be made again from its arguments."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def digits(**config):
    return genzoo.load_dataset("digits", "test", binarize="threshold", **config)


def make(name):
    """Return a model of few weights, the same in each process."""
    torch.manual_seed(0)
    if name.startswith("toy-"):
        cls = genzoo.registry.load("models", name)
        return cls(cls.example()[0]).double()
    config = {"num_hidden": 8} if name == "rbm" else {}  # Few enough to sum over their states.
    return genzoo.create_model(name, data=digits(), **config)


def count_blocks():
    """Note which blocks are drawn, and use small blocks of rows, so that there are several."""
    block = sampling.Blocks.block

    def noting(self, k, watch):
        drawn.append(k)
        return block(self, k, watch)

    sampling.Blocks.block = noting
    features._BLOCK = metric._BLOCK = accuracy._BLOCK = 25


def samples(folder):
    """Draw by several models, with conditions, with another sampler, without a seed."""
    vae = make("toy-vae")
    label = torch.arange(11) % 3
    found = {
        "toy-vae": vae.sample(11, condition=label, seed=3, batch_size=2),
        "one label": vae.sample(7, condition=1, seed=4, batch_size=2),
        "made": make("made").sample(9, seed=5, batch_size=4),
        "one block": make("made").sample(3, seed=6),
        "fresh": make("made").sample(9, batch_size=4),
    }
    torch.save(found, folder / "samples.pt")
    (folder / "drawn.json").write_text(json.dumps(drawn))


def evaluations(folder):
    for name, metrics in MODELS.items():
        model = make(name)
        with_labels = digits(limit=130)
        found = genzoo.evaluate(model, with_labels, metrics, max_examples=120)
        (folder / f"{name}.json").write_text(json.dumps(found.to_dict(), indent=1))


def commands(folder, written):
    """Run the commands as a shell would, but for their start."""
    model = written / "model"
    on_main(lambda: make("made").save_pretrained(model))
    on_main(lambda: make("vae").save_pretrained(written / "vae"))
    lines = {
        "array": f"sample {model} --num 9 --batch-size 4 --seed 1 --output {written}/x.npz",
        "folder": f"sample {model} --num 21 --batch-size 2 --shard-size 3 --output {written}/many",
        "again": f"sample {model} --num 21 --batch-size 2 --shard-size 3 --output {written}/many",
        "another": f"sample {model} --num 20 --batch-size 2 --output {written}/many",
        "no folder": f"sample {model} --num 4 --output {written}/model",
        "evaluate": f"evaluate {written}/vae --data digits --data.binarize threshold"
        f" --metrics log-likelihood reconstruction-error --max-examples 60"
        f" --json {written}/figures.json",
    }
    said = {}
    for name, line in lines.items():
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                command(line.split())
            except SystemExit as left:
                said[name] = [left.code, out.getvalue(), error.getvalue()]
    (folder / "said.json").write_text(json.dumps(said))


def raised(action):
    """Return the error of an action as text."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - it is what is tested
        return f"{type(error).__name__}: {error}"
    return ""


def failing(first):
    """Return blocks that fail from some number on, each with its own error."""

    def block(k):
        if k >= first:
            raise genzoo.DataError(f"Block {k}.")
        return k

    return block


def plugin_error(k):
    raise KeyError("a plugin's")


def too_many(k):
    raise OneArgumentTooMany("this", "that")


def alone(rank):
    """Fail on one process only."""
    if rank == RANK:
        raise genzoo.DataError(f"Process {rank}.")


def errors(folder):
    made = make("made")
    request = sampling.Request(4, None, sampling.own_sampler(made), None, None)
    found = {
        "first": raised(lambda: map_blocks(failing(3), 8)),
        "first of main": raised(lambda: map_blocks(failing(2), 8)),
        "plugin": raised(lambda: map_blocks(plugin_error, 4)),
        "too many": raised(lambda: map_blocks(too_many, 4)),
        "main": raised(lambda: on_main(lambda: failing(0)(0))),
        "other": raised(lambda: main_first(lambda: alone(num_processes() - 1))),
        "after": map_blocks(lambda k: k, 3),
        "from main": from_main(lambda: RANK),
        "on main": on_main(lambda: RANK),
        "main first": main_first(lambda: RANK),
        "who": map_blocks(lambda k: RANK, 5),
        "inside": map_blocks(lambda k: map_blocks(lambda j: RANK, 2), 2),
        "numbers": [num_processes(), is_main()],
        "none": map_blocks(failing(0), 0),
        "fresh": sampling.Blocks(made, request, None).seed,
    }
    (folder / "errors.json").write_text(json.dumps(found))


def main():
    torch.set_num_threads(1)
    home = Path(sys.argv[1])
    folder = home / str(RANK)
    folder.mkdir(parents=True, exist_ok=True)
    count_blocks()
    with divided_work():
        samples(folder)
        evaluations(folder)
        errors(folder)
    if torch.distributed.is_initialized():
        sys.exit("The process group is open after the work.")
    commands_in_groups(folder, home / "written")
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    if left := [name for name in threads if "gloo" in name]:
        sys.exit(f"The process group is left, and these threads of it are there: {left}.")
    if launching.size_of() > 1:
        with divided_work():
            map_blocks(leave, 2)


def commands_in_groups(folder, written):
    with divided_work():  # The commands' own groups are this one.
        commands(folder, written)


def leave(k):
    """End process 1 without a word."""
    if k == 1:
        os._exit(7)


if __name__ == "__main__":
    main()
