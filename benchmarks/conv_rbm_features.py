"""Features of a convolutional RBM for a linear classifier of Fashion-MNIST, compared with pixels.

Three kinds of features of the same rows, each classified by scikit-learn's logistic regression on
standardised values: the raw pixels; the 500 hidden units of a dense RBM; the pooling units of a
conv-rbm. Both machines learn without labels from all 60,000 training images, binarised anew at
each presentation (``binarize="dynamic"``: a pixel is one with its grey value as probability). The
features of both are probabilities given the grey image, whose values stand for the probabilities
of the pixels. The classifier has ``--rows`` labelled training rows, the same for all kinds, drawn
by the seed and stratified; a fifth of them chooses its C out of the same list for all kinds, then
it is fitted to all of them. The accuracy is that of the 10,000 official test rows.

Printed are the accuracies of each seed, then their means, ranges and gains over pixels. A seed
draws the labelled rows, the initial weights and the chains.

Usage: python benchmarks/conv_rbm_features.py [--seeds 0 1 2] [--rows 5000]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import circumstances, say
from torch import Tensor

import genzoo
from genzoo.data import subset
from genzoo.plugin import Component

STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
ITERATIONS = 200
PIXELS, DENSE, CONVOLUTIONAL = "raw pixels", "rbm, 500 units", "conv-rbm, pooled"

Array = Any
Features = Callable[[Tensor], Tensor]


def learned(name: str, seed: int, stage: genzoo.Stage) -> Any:
    """Return a machine that learned the training images."""
    data = genzoo.load_dataset("fashion-mnist", binarize="dynamic")
    torch.manual_seed(seed)
    model = genzoo.create_model(name, data=data)
    trainer = genzoo.TrainerConfig(**stage.trainer, seed=seed, threads=1, progress=False)
    began = time.process_time()
    genzoo.Trainer(model, data, stage, trainer).fit()
    say(f"  {name}: {trainer.max_steps} updates, {time.process_time() - began:.0f} s")
    return model


def stage(steps: int, batch_size: int, **config: Any) -> genzoo.Stage:
    """Return a stage of persistent contrastive divergence."""
    trainer = {"max_steps": steps, "batch_size": batch_size, "lr_scheduler": "linear"}
    return genzoo.Stage(objective=Component(name="pcd", config=config), trainer=trainer)


def features(seed: int, steps: int, dense_steps: int) -> dict[str, Features]:
    """Return the three kinds of features, functions of grey images (N, 1, 28, 28)."""
    dense = learned("rbm", seed, stage(dense_steps, 100, lr=0.1, weight_decay=1e-4))
    # Without the penalty of sparsity the maps learn less that a classifier can use.
    sparse = {"sparsity_cost": 3.0, "sparsity_target": 0.03}
    convolutional = learned("conv-rbm", seed, stage(steps, 20, lr=10.0, **sparse))
    return {
        PIXELS: lambda x: x,
        DENSE: lambda x: dense.hidden_probabilities(x.flatten(1)),
        CONVOLUTIONAL: convolutional.pooled,
    }


@torch.no_grad()
def vectors(of: Features, x: Tensor) -> Array:
    """Return the features of images as rows of numbers."""
    return torch.cat([of(rows).flatten(1) for rows in x.split(500)]).numpy()


def fitted(strength: float, x: Array, y: Array) -> Any:
    """Return a classifier of features."""
    linear = LogisticRegression(C=strength, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), linear).fit(x, y)


def accuracy(
    of: Features, train: genzoo.Batch, test: genzoo.Batch, seed: int
) -> tuple[float, float]:
    """Return the test accuracy in per cent, and the C that held-out training rows chose."""
    x, y = vectors(of, train["x"]), train["label"].numpy()
    parts = train_test_split(x, y, test_size=0.2, stratify=y, random_state=seed)
    scores = {c: fitted(c, parts[0], parts[2]).score(parts[1], parts[3]) for c in STRENGTHS}
    best = max(scores, key=lambda c: scores[c])
    return 100 * fitted(best, x, y).score(vectors(of, test["x"]), test["label"].numpy()), best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=5000, help="with labels, of training")
    parser.add_argument("--steps", type=int, default=2000, help="updates of the conv-rbm")
    parser.add_argument("--dense-steps", type=int, default=6000, help="updates of the rbm")
    given = parser.parse_args()
    torch.set_num_threads(1)
    np.random.seed(0)
    say(circumstances(1))
    grey = genzoo.load_dataset("fashion-mnist")
    test = genzoo.load_dataset("fashion-mnist", "test").head(10_000)
    found: dict[str, list[float]] = {PIXELS: [], DENSE: [], CONVOLUTIONAL: []}
    for seed in given.seeds:
        train = subset(grey, given.rows, seed=seed).head(given.rows)
        say(f"seed {seed}, {given.rows} rows with labels:")
        for name, of in features(seed, given.steps, given.dense_steps).items():
            value, strength = accuracy(of, train, test, seed)
            found[name].append(value)
            say(f"  {name:<18} {value:.2f} %, C = {strength:g}")
    for name, values in found.items():
        mean = statistics.mean(values)
        gain = mean - statistics.mean(found[PIXELS])
        say(f"{name:<18} {mean:.2f} % ({min(values):.2f} to {max(values):.2f}), {gain:+.2f}")


if __name__ == "__main__":
    main()
