"""Run by the tests: train a toy in as many processes as Accelerate has started.

Usage: two_processes.py MODEL[:OBJECTIVE] MICRO_BATCHES FOLDER [resume]
"""

import os
import sys

import torch

import families  # noqa: F401  Registers the toys.
import genzoo
from genzoo import registry
from genzoo.testing import Case


def main():
    torch.set_num_threads(1)
    name, micro_batches, folder, *rest = sys.argv[1:]
    name, _, objective = name.partition(":")
    cls = registry.load("models", name)
    config, _ = cls.example()
    # Each process makes another model, as without a seed; the first one's is trained.
    torch.manual_seed(int(os.environ.get("RANK", "0")))
    settings = genzoo.TrainerConfig(
        steps=6,
        batch_size=8,
        gradient_accumulation=int(micro_batches),
        checkpoint_every=2,
        keep=9,
        ema_decay=0.5,
        clip_norm=1.0,
        log_every=1,
    )
    stages = genzoo.Stage(objective=genzoo.Named(name=objective)) if objective else None
    trainer = genzoo.Trainer(
        cls(config), Case(name, cls).data(), stages, settings, output_dir=folder
    )
    trainer.fit(resume=bool(rest))


if __name__ == "__main__":
    main()
