"""Exact likelihoods of fvsbn, made and nade on two binary sets of UCI, next to published ones.

Training stops by the log-likelihood of the rows of ``valid``, and keeps the best weights by it.
The test rows are evaluated once, at the end.

| MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015), whose table has the
| published figures

Usage: python benchmarks/dna_mushrooms.py [--data dna mushrooms] [--models fvsbn made nade]
    [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import circumstances, say

import genzoo

PUBLISHED = {
    "dna": {"fvsbn": -83.64, "made": -79.66, "nade": -84.81},
    "mushrooms": {"fvsbn": -10.27, "made": -9.68, "nade": -9.81},
}
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "dna": {
        "fvsbn": {"lr": 0.005, "weight_decay": 0.1},
        "made": {"num_masks": 16, "num_orders": 16, "lr": 1e-3, "weight_decay": 0.3},
        "nade": {"hidden_dim": 32, "lr": 5e-3, "weight_decay": 0.3},
    },
    "mushrooms": {
        "fvsbn": {"lr": 0.02},
        "made": {"lr": 2e-3, "weight_decay": 0.1},
        "nade": {"hidden_dim": 100, "lr": 5e-3},
    },
}
STEPS = 6000


def rows(name: str) -> dict[str, torch.Tensor]:
    """Return the rows of each split, or stop and say what is missing."""
    path = Path(os.environ.get("GENZOO_BENCHMARK_DATA", "../shared/data")) / f"uci-{name}.npz"
    if not path.is_file():
        sys.exit(f"Skipped: {path} is absent. Set GENZOO_BENCHMARK_DATA to the folder it is in.")
    with np.load(path) as packed:
        size = int(packed["num_features"])
        return {
            split: torch.from_numpy(np.unpackbits(packed[split], axis=1)[:, :size]).float()
            for split in ("train", "valid", "test")
        }


def fit(name: str, data: dict[str, torch.Tensor], values: dict[str, Any], seed: int) -> Any:
    """Train a model, and return the best by ``valid``."""
    values = dict(values)
    lr, decay = values.pop("lr"), values.pop("weight_decay", 0.0)
    torch.manual_seed(seed)
    event = genzoo.Binary(shape=tuple(data["train"].shape[1:]))
    model: Any = genzoo.create_model(name, event=event, **values)
    config = genzoo.TrainerConfig(
        max_steps=STEPS,
        batch_size=100,
        lr_scheduler=genzoo.Component(name="linear"),
        optimizers={"model": {"name": "adamw", "config": {"lr": lr, "weight_decay": decay}}},
        eval_steps=200,
        eval_metrics=("log-likelihood",),
        metric_for_best_model="log-likelihood",
        early_stopping_patience=8,
        sample_steps=0,
        seed=seed,
        threads=1,
        progress=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        genzoo.Trainer(
            model, data["train"], config=config, eval_data=data["valid"], output_dir=folder
        ).fit()
    return model.eval()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--models", nargs="+", default=["fvsbn", "made", "nade"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    say(
        circumstances(1),
        "| data | model | seed | valid | test | published | CPU seconds |",
        "|---" * 7,
    )
    for name in chosen.data:
        data = rows(name)
        for kind, seed in itertools.product(chosen.models, chosen.seeds):
            began = time.process_time()
            model = fit(kind, data, MODELS[name][kind], seed)
            spent = time.process_time() - began
            with torch.no_grad():
                valid = model.log_prob(data["valid"]).mean()
                test = model.log_prob(data["test"]).mean()
            say(
                f"| {name} | {kind} | {seed} | {valid.value:.2f} | {test.value:.2f} ± "
                f"{test.std_error:.2f} | {PUBLISHED[name][kind]} | {spent:.0f} |"
            )


if __name__ == "__main__":
    main()
