"""The fixed binarisation of MNIST that the published tables use, as an array file for recipes.

| On the Quantitative Analysis of Deep Belief Networks (Salakhutdinov, Murray, 2008)

Usage: python benchmarks/binarized_mnist.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

PREPARED = Path("runs/binarized-mnist.npz")
_SIDE = 28


def source() -> Path:
    """Return where the packed bits are, or stop and say what is missing."""
    folder = Path(os.environ.get("GENZOO_BENCHMARK_DATA", "../shared/data"))
    path = folder / "binarized-mnist.npz"
    if not path.is_file():
        sys.exit(f"Skipped: {path} is absent. Set GENZOO_BENCHMARK_DATA to the folder it is in.")
    return path


def prepare() -> Path:
    """Write 50,000 rows to train on, 10,000 to validate and 10,000 to test, as (N, 1, 28, 28)."""
    if not PREPARED.is_file():
        with np.load(source()) as packed:
            bits = {name: np.unpackbits(packed[name], axis=1) for name in ("train", "test")}
        rows = {
            "train": bits["train"][:50_000],
            "valid": bits["train"][50_000:],
            "test": bits["test"],
        }
        # The bits run down the columns of an image, as MATLAB keeps them.
        shaped = {name: x.reshape(-1, 1, _SIDE, _SIDE).swapaxes(2, 3) for name, x in rows.items()}
        PREPARED.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(PREPARED, **shaped)
    return PREPARED


if __name__ == "__main__":
    sys.stdout.write(f"{prepare()}\n")
