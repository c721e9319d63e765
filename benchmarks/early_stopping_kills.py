"""A run that keeps its best weights and stops early, killed at random moments and resumed.

A VAE of digits is trained with evaluations, checkpoints, and a patience. Each of the kills is a
SIGKILL of the process at a random moment; the run is then resumed. Printed is whether the best and
the last model, and the log of evaluations, are equal to those of the run without a kill.

Usage: python benchmarks/early_stopping_kills.py [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file
from timing import circumstances, say

import genzoo

SECONDS = 6.0
"""The longest time after which a run is killed."""


def fit(folder: Path, *, resume: bool) -> None:
    """Train until the patience is over."""
    data = genzoo.load_dataset("digits", valid_fraction=0.2, limit=200)
    held_out = genzoo.load_dataset("digits", "held-out", valid_fraction=0.2)
    recipe = genzoo.Recipe(
        model=genzoo.Component(name="vae"), data=genzoo.Component(name="digits")
    )
    config = genzoo.TrainerConfig(
        max_steps=100_000,
        eval_steps=20,
        save_steps=30,
        early_stopping_patience=30,
        ema_decay=0.9,
        threads=1,
        optimizers={"model": {"config": {"lr": 0.003}}},
    )
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = genzoo.create_model(recipe.model.name, data=data)
    trainer = genzoo.Trainer(
        model, data, config=config, eval_data=held_out, output_dir=folder, overwrite=not resume
    )
    trainer.fit(resume=resume)


def kept(folder: Path) -> dict[str, object]:
    """Return what must be equal."""
    rows = map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines())
    return {
        "evaluations": [(row["step"], row["eval/loss"]) for row in rows if "eval/loss" in row],
        **{
            name: {
                key: tensor.numpy().tobytes()
                for key, tensor in load_file(folder / name / "model.safetensors").items()
            }
            for name in ("best", "last", ".")
        },
    }


def killed(folder: Path, seconds: float, *, resume: bool) -> bool:
    """Start the run in a process, and kill it after some seconds; False if it has ended."""
    command = [sys.executable, __file__, "--run", str(folder), *(["--resume"] if resume else [])]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run is not None:
        fit(arguments.run, resume=arguments.resume)
        return
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        straight, again = Path(scratch, "straight"), Path(scratch, "killed")
        began = time.perf_counter()
        killed(straight, 1e6, resume=False)
        expected, whole = kept(straight), time.perf_counter() - began
        kills = 0
        while kills < arguments.kills:
            resume = (again / "recipe.toml").exists()
            kills += killed(again, chance.uniform(0, min(SECONDS, whole)), resume=resume)
            if (again / "last").exists() and kills < arguments.kills:
                _compare(expected, kept(again), kills)
                again = Path(scratch, f"killed-{kills}")
        killed(again, 1e6, resume=(again / "recipe.toml").exists())
        say(circumstances(1), f"seed {arguments.seed}, {whole:.0f} seconds without a kill")
        _compare(expected, kept(again), kills)


def _compare(expected: dict[str, object], found: dict[str, object], kills: int) -> None:
    equal = {name: found[name] == value for name, value in expected.items()}
    say(f"after {kills} kills: {', '.join(f'{k} equal: {v}' for k, v in equal.items())}")


if __name__ == "__main__":
    main()
