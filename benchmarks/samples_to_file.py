"""How long samples take to reach a file, compared with drawing them: CPU time, one thread.

The VAE of the card vae-fashion-mnist draws 50,000 samples; `genzoo sample` writes them to .npz.
Each round draws once and writes once; printed are the median and the range of (drawing + writing)
÷ drawing.

Usage: python benchmarks/samples_to_file.py [--num 50000] [--rounds 10]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from timing import circumstances

import genzoo
import genzoo.plugin
from genzoo.cli.sample import write_samples
from genzoo.sampling import Request, own_sampler

CARD = Path(__file__).parent.parent / "model_cards" / "vae-fashion-mnist"


def measured(model: genzoo.plugin.GenerativeModel, num: int, folder: Path) -> tuple[float, float]:
    """Return the CPU seconds of drawing, and of writing."""
    start = time.process_time()
    x = model.sample(num, seed=0)
    drawn = time.process_time()
    request = Request(num, {}, own_sampler(model), None, None)
    write_samples(model, x, folder / "samples.npz", request, seed=0, given={})
    return drawn - start, time.process_time() - drawn


def main() -> None:
    """Print the median and the range of the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(circumstances(1))
    model = genzoo.GenModel.from_pretrained(CARD)
    with tempfile.TemporaryDirectory() as folder:
        measured(model, arguments.num, Path(folder))  # The first one warms up.
        rounds = [measured(model, arguments.num, Path(folder)) for _ in range(arguments.rounds)]
    ratios = [(drawing + writing) / drawing for drawing, writing in rounds]
    print(
        f"{arguments.num:,} samples, {arguments.rounds} rounds: drawing and writing ÷ drawing "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); drawing "
        f"{statistics.median(d for d, _ in rounds):.2f} s, writing "
        f"{statistics.median(w for _, w in rounds):.2f} s of CPU"
    )


if __name__ == "__main__":
    main()
