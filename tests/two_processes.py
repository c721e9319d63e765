"""Run by the tests: train toys, one after another, in as many processes as Accelerate has started.

Usage: two_processes.py MICRO_BATCHES FOLDERS MODEL[:OBJECTIVE] ... [resume]

Each run goes to FOLDER/MODEL[:OBJECTIVE], in all of the folders, which a colon separates. With
SHARD=1 in the environment, all networks are sharded; with SHARD=0 none, and both compute in
float64. UPDATES is the number of updates.
"""

import itertools
import os
import sys
from pathlib import Path

import torch

import families  # noqa: F401  Registers the toys.
import genzoo
import stacks  # noqa: F401  Registers one more.
from genzoo import registry
from genzoo.testing import Case
from genzoo.training.accelerating import leave_group
from genzoo.training.sharding import units
from genzoo.training.updater import Updater


def main():
    units.AUTO = int(os.environ.get("SHARD", "1"))
    torch.set_num_threads(1)
    micro_batches, folders, *models = sys.argv[1:]
    resume = models[-1] == "resume"
    wanted = itertools.product(folders.split(os.pathsep), models[: len(models) - resume])
    for folder, model in wanted:
        try:
            train(model, int(micro_batches), os.path.join(folder, model), resume=resume)
        except BaseException as error:
            error.add_note(f"This was while {model} was trained.")
            raise
    leave_group()
    threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    if left := [name for name in threads if "gloo" in name]:
        sys.exit(f"The process group is left, and these threads of it are there: {left}.")


def train(model, micro_batches, folder, *, resume=False):
    name, _, objective = model.partition(":")
    cls = registry.load("models", name)
    config, _ = cls.example()
    # Each process makes another model, as without a seed; the first one's is trained.
    torch.manual_seed(int(os.environ.get("RANK", "0")))
    updates = int(os.environ.get("UPDATES", "6"))
    settings = genzoo.TrainerConfig(
        max_steps=updates,
        batch_size=8,
        num_micro_batches=micro_batches,
        save_steps=2,
        save_total_limit=9,
        ema_decay=0.5,
        max_grad_norm=1.0,
        logging_steps=1,
        eval_steps=4 if updates > 1 else 0,
        ema_sigma_rel=(0.1,) if "SHARD" in os.environ and updates > 1 else None,
        ema_snapshots=2,
        sample_steps=updates if updates > 1 else 0,
        shard="auto" if os.environ.get("SHARD", "0") != "0" else "none",
    )
    if "LEAVE_AT" in os.environ and os.environ["RANK"] == "1":
        leave_at(int(os.environ["LEAVE_AT"]))
    stages = genzoo.Stage(objective=genzoo.Component(name=objective)) if objective else None
    data = Case(name, cls).data()
    made = cls(config)
    if "SHARD" in os.environ:
        # Some gradients are 0 but for rounding, which Adam enlarges: in float64 it is too small.
        made = made.double()
    # A run of one update is one of many: it is not evaluated.
    held_out = data if updates > 1 else None
    trainer = genzoo.Trainer(made, data, stages, settings, eval_data=held_out, output_dir=folder)
    trainer.fit(resume=resume)


def leave_at(index):
    """End this process without a word before an update."""
    run = Updater.run

    def leaving(self, batches, number, *rest, **options):
        if number == index:
            os._exit(7)
        return run(self, batches, number, *rest, **options)

    Updater.run = leaving


if __name__ == "__main__":
    main()
