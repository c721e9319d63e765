"""The time of a training step in two trees of genzoo, in turn: CPU time of the Trainer's fit.

    python benchmarks/step_time_pairs.py --before ../genzoo-before --pairs 30

Each tree has a process of its own, of one thread, that trains the same models for a few steps when
it is asked to. The two are asked in turn, the first one changing from pair to pair, and each pair
gives one ratio. Printed are the median of the ratios, and the 95 % interval of that median from
the order statistics of the pairs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = {"rbm": 200, "rbm-cd-sparse": 500, "vae": 100, "gan": 100, "ddpm": 5, "nade": 5}


def trainers() -> dict[str, Callable[[], Any]]:
    """Return a function for each model that trains it from the start; data are random."""
    import torch

    import genzoo
    from genzoo.data import from_array

    torch.set_num_threads(1)
    registry = importlib.import_module("genzoo.registry")
    x = torch.rand(2000, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    label = torch.arange(2000) % 10
    data = {
        "binary": (x > 0.5).float(),
        "sparse": (x > 0.87).float(),  # A share of .13 of the units is on.
        "unit": (x * 255).round() / 255,
    }

    def made(
        name: str, kind: str, steps: int, config: dict[str, Any], objective: str = ""
    ) -> Callable[[], Any]:
        rows = from_array(data[kind], kind, label=label)
        cls = registry.load("models", name)
        torch.manual_seed(0)
        known = getattr(rows, "info", None) or rows.spec
        model = cls(cls.configure(known, **config))
        size = 100 if kind == "sparse" else 128
        values = {"batch_size": size, "threads": 1, "progress": False}
        renamed = hasattr(genzoo.TrainerConfig, "max_steps")  # An older tree has other names.
        names = ("max_steps", "logging_steps") if renamed else ("steps", "log_every")
        values |= dict(zip(names, (steps, 10**6), strict=True))
        trainer = genzoo.TrainerConfig(**values)
        if not objective:
            return lambda: genzoo.Trainer(model, rows, config=trainer).fit()
        stage = genzoo.Stage(objective=genzoo.Component(name=objective))
        return lambda: genzoo.Trainer(model, rows, stage, config=trainer).fit()

    labelled = (
        {"conditions": ("label",)}
        if hasattr(genzoo, "DataInfo")
        else {"condition": "label", "num_classes": 10}
    )
    return {
        "rbm": made("rbm", "binary", STEPS["rbm"], {"num_hidden": 200}),
        "rbm-cd-sparse": made("rbm", "sparse", STEPS["rbm-cd-sparse"], {"num_hidden": 500}, "cd"),
        "vae": made("vae", "binary", STEPS["vae"], {"latent_dim": 20, "hidden_dims": (400,)}),
        "gan": made("gan", "unit", STEPS["gan"], {"latent_dim": 32, "hidden_dims": (128, 128)}),
        "ddpm": made("ddpm", "unit", STEPS["ddpm"], {"channels": (8, 16), **labelled}),
        "nade": made("nade", "binary", STEPS["nade"], {"hidden_dim": 500}),
    }


def work() -> None:
    """Train what standard input names, line by line, and answer with the CPU seconds."""
    known = trainers()
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            before = time.process_time()
            known[line.strip()]()
            seconds = time.process_time() - before
        print(json.dumps(seconds), flush=True)


def start(tree: Path) -> subprocess.Popen[str]:
    """Start the process of a tree."""
    plugins = [str(path) for path in sorted((tree / "plugins").iterdir()) if path.is_dir()]
    path = os.pathsep.join([str(tree), *plugins])
    return subprocess.Popen(
        [sys.executable, __file__, "--work"],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def ask(process: subprocess.Popen[str], name: str) -> float:
    """Let a process train once; return its CPU seconds."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("The process was started without pipes.")
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median from order statistics (binomial, p = 1/2)."""
    n, below = len(ratios), 0.0
    for k in range(n):
        below += math.comb(n, k) / 2**n
        if below > 0.025:
            return sorted(ratios)[max(0, k - 1)], sorted(ratios)[min(n - 1, n - k)]
    return min(ratios), max(ratios)


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--before", type=Path, help="the other tree")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--models", nargs="+", default=list(STEPS))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    here = Path(__file__).resolve().parent.parent
    processes = {"before": start(options.before.resolve()), "now": start(here)}
    try:
        for name in options.models:
            for process in processes.values():
                ask(process, name)
            ratios, seconds = [], []
            for pair in range(options.pairs):
                order = ["before", "now"] if pair % 2 else ["now", "before"]
                found = {which: ask(processes[which], name) for which in order}
                ratios.append(found["now"] / found["before"])
                seconds.append(found["now"] / STEPS[name])
            low, high = interval(ratios)
            middle = sorted(ratios)[len(ratios) // 2]
            step = 1e3 * sorted(seconds)[len(seconds) // 2]
            print(
                f"{name:<5} {middle:.3f} ({low:.3f} to {high:.3f}), {options.pairs} pairs, "
                f"{step:.2f} ms CPU a step, one thread",
                flush=True,
            )
    finally:
        for process in processes.values():
            process.kill()


if __name__ == "__main__":
    main()
