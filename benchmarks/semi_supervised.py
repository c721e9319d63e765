"""A hundred labels among 60,000 images of clothes: the error with the other rows and without them.

One classifier (784-500-250-250-10, noise between its layers) learns twice from one draw of a
hundred labels, ten of each: from the labelled rows alone, by cross-entropy, and by feature
matching with a generator, from all rows. Each seed draws other labels and other weights; both ways
share them, so that the differences are paired. The error is that of the 10,000 test images.

Usage: python benchmarks/semi_supervised.py [--seeds 5] [--first-seed 0] [--steps 5000]
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from timing import circumstances, say
from torch import Tensor

import genzoo
import genzoo.plugin
from genzoo.data.labelling import PartlyLabelled

LABELS, BATCH = 100, 100
MODEL = {
    "event": genzoo.Unit(shape=(1, 28, 28)),
    "num_classes": 10,
    "latent_dim": 100,
    "hidden_dims": (250, 250),
    "batch_norm": True,
    "classifier_hidden_dims": (500, 250, 250),
    "noise": 0.5,
}


def make(seed: int) -> Any:
    """Return a new model."""
    torch.manual_seed(seed)
    return genzoo.create_model("semi-supervised-gan", **MODEL)


def of_labels_alone(x: Tensor, label: Tensor, seed: int, steps: int) -> Any:
    """Return a model whose classifier has learned from the labelled rows alone."""
    model = make(seed).train()
    optimizer = torch.optim.Adam(model.classifier.parameters(), lr=1e-3, betas=(0.5, 0.999))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        loss = F.cross_entropy(model.classifier(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def of_all_rows(data: genzoo.plugin.Dataset, seed: int, steps: int) -> Any:
    """Return a model that has learned by feature matching."""
    model = make(seed)
    objective = genzoo.Component(
        name="feature-matching", config={"lr": 1e-3, "classifier_lr": 1e-3}
    )
    config = genzoo.TrainerConfig(
        max_steps=steps,
        batch_size=BATCH,
        lr_scheduler="linear",
        ema_decay=0.999,
        threads=1,
        progress=False,
        seed=seed,
    )
    genzoo.Trainer(model, data, genzoo.Stage(objective=objective), config).fit()
    return model


@torch.no_grad()
def error(model: Any, rows: dict[str, Tensor]) -> float:
    """Return the share of rows that get another label than theirs."""
    model.eval()
    found = torch.cat([model.classify(x).argmax(1) for x in rows["x"].split(1000)])
    return (found != rows["label"]).double().mean().item()


def partly(seed: int) -> PartlyLabelled:
    """Return the training split with the labels that a seed keeps."""
    data = genzoo.load_dataset("fashion-mnist", labelled=LABELS, labelled_seed=seed)
    if not isinstance(data, PartlyLabelled):
        raise TypeError(f"{data.name} has kept all of its labels.")
    return data


def main() -> None:
    """Print both errors of each seed, and the mean of their differences with its error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--steps-alone", type=int, default=1500)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    test = genzoo.load_dataset("fashion-mnist", "test").head(10_000)
    alone, both = [], []
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        data = partly(seed)
        few = data.dataset.batch(data.labelled)
        began = time.process_time()
        alone.append(error(of_labels_alone(few["x"], few["label"], seed, given.steps_alone), test))
        middle = time.process_time()
        both.append(error(of_all_rows(data, seed, given.steps), test))
        say(
            f"seed {seed}: {alone[-1]:.4f} of the labels alone ({middle - began:.0f} CPU-s), "
            f"{both[-1]:.4f} of all rows ({time.process_time() - middle:.0f} CPU-s)"
        )
    _say_difference(alone, both)
    say(circumstances(1))


def _say_difference(alone: list[float], both: list[float]) -> None:
    gains = [a - b for a, b in zip(alone, both, strict=True)]
    for what, values in {"labels alone": alone, "all rows": both, "difference": gains}.items():
        spread = statistics.stdev(values) if len(values) > 1 else math.nan
        say(
            f"{what}: mean {statistics.mean(values):.4f}, deviation {spread:.4f}, standard error "
            f"of the mean {spread / math.sqrt(len(values)):.4f}"
        )


if __name__ == "__main__":
    main()
