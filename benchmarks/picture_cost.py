"""The cost of the pictures that are drawn by default: their share of a run's CPU time, one thread.

Each model is trained on digits with its defaults. A run has as many updates as its stage says, so
only some of them are timed; then some pictures of that run are drawn and written. Printed are
the number of pictures and rows, and the time of all pictures divided by that of all updates: the
median and the range over rounds.

Usage: python benchmarks/picture_cost.py [--updates 200] [--rounds 5] [--models NAME ...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from timing import circumstances, say

import genzoo
from genzoo.data import subset
from genzoo.model import Model
from genzoo.sampling import preview_sampler
from genzoo.training.callbacks import TrainerState
from genzoo.training.config import TrainerConfig, resolve
from genzoo.training.logs import PictureFiles
from genzoo.training.pictures import draw, timetable

MODELS = {"rbm": {"binarize": "threshold"}, "vae": {}, "gan": {}, "ddpm": {}}
PICTURES = 5
SEED = 0


def of_run(model: Model) -> TrainerConfig:
    """Return the training values of the model's last stage, one thread."""
    stage = model.default_stages(model.config)[-1]
    return resolve(TrainerConfig(threads=1, seed=SEED), stage.trainer)


def per_update(model: Model, data: genzoo.Dataset, updates: int) -> float:
    """Return the CPU seconds of an update, without the first ones."""
    spent = []
    for steps in (20, 20 + updates):
        config = TrainerConfig(max_steps=steps, threads=1, progress=False)
        began = time.process_time()
        genzoo.Trainer(model, data, config=config).fit()
        spent.append(time.process_time() - began)
    return (spent[1] - spent[0]) / updates


def per_picture(model: Model, data: genzoo.Dataset, rows: int) -> float:
    """Return the CPU seconds of a picture, drawn and written."""
    sampler, batch = preview_sampler(model), subset(data, rows, seed=SEED).head(rows)
    state = TrainerState()
    with tempfile.TemporaryDirectory() as folder:
        files = PictureFiles(Path(folder))
        files.on_sample(state, draw(model, batch, SEED, sampler))  # The first one warms up.
        began = time.process_time()
        for _ in range(PICTURES):
            files.on_sample(state, draw(model, batch, SEED, sampler))
        return (time.process_time() - began) / PICTURES


def main() -> None:
    """Print the share of each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{arguments.rounds} rounds of {arguments.updates} updates, seed {SEED}")
    for name in arguments.models:
        torch.manual_seed(SEED)
        data = genzoo.load_dataset("digits", **MODELS[name])
        model = genzoo.create_model(name, data=data)
        config, states = of_run(model), preview_sampler(model).num_states(model) or 0
        table, shares = timetable(config, states), []
        for _ in range(arguments.rounds):
            update = per_update(model, data, arguments.updates)
            picture = per_picture(model, data, table.rows)
            shares.append(100 * table.number * picture / (update * table.total))
        say(
            f"{name}: {table.total} updates of {1e3 * update:.2f} ms, {table.number} pictures of "
            f"{table.rows} rows, {states} states, {1e3 * picture:.0f} ms: "
            f"{statistics.median(shares):.2f} % ({min(shares):.2f} to {max(shares):.2f})"
        )


if __name__ == "__main__":
    main()
