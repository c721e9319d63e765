"""Whether the defaults of every model learn the digits within two minutes of CPU time.

Every model that draws x from one domain is trained by ``genzoo train NAME --data digits`` with no
other flag, except ``--data.binarize threshold`` for models of zeros and ones, and
``--model.conditions label`` in rows that end in "+label". The classifier that comes with the
datasets (digits-cnn) judges 500 samples of the default sampler, which ask for every class equally
often if classes can be asked for: the share with a probability of at least .9 of some digit, the
smallest share of a digit, and the share that is the digit asked for. Seconds are CPU seconds of
the training process, over all of its threads.

Usage: python benchmarks/defaults_that_learn.py [--seeds 0 1 2] [--only gan ddpm+label]
    [--threads 1] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, say

import genzoo
from genzoo import registry
from genzoo_datasets.classifier import load_classifier

_CLASSES, _NUM, _SURE = 10, 500, 0.9


@dataclass(frozen=True)
class Case:
    """A model, as it is trained without further flags.

    Arguments:
        name: The model.
        conditional: Whether it is conditioned on the label, which it could do without.
    """

    name: str
    conditional: bool = False

    def __str__(self) -> str:
        return f"{self.name}+label" if self.conditional else self.name

    def flags(self) -> list[str]:
        """Return the flags that the data need."""
        model = registry.load("models", self.name)
        binary = model.event_spaces == (genzoo.Binary,)
        return [
            *(["--data.binarize", "threshold"] if binary else []),
            *(["--model.conditions", "label"] if self.conditional else []),
        ]


def cases() -> Iterator[Case]:
    """Yield every model that draws x and needs no other field of the data than labels."""
    for name in registry.names("models"):
        model = registry.load("models", name)
        if model.event_field != "x" or not set(model.needs) <= {"label"}:
            continue
        yield Case(name)
        if genzoo.Label in model.condition_spaces and not model.needs:
            yield Case(name, conditional=True)


def train(case: Case, seed: int, threads: int, folder: str) -> float:
    """Train a model in a process of its own and return the CPU seconds that it took."""
    command = [sys.executable, "-m", "genzoo", "train", case.name, "--data", "digits"]
    command += [*case.flags(), "--trainer.seed", str(seed), "--output", folder]
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@torch.no_grad()
def judge(folder: str, *, seed: int) -> tuple[float, float, float | None]:
    """Return the share of clear digits, the smallest share of one, and that of those asked for."""
    model: Any = genzoo.GenModel.from_pretrained(folder)
    model.eval()
    asked = torch.arange(_NUM) % _CLASSES
    conditions = {"condition": {"label": asked}} if "label" in model.conditions else {}
    x = model.sample(_NUM, seed=seed, **conditions)
    probability, digit = load_classifier("digits-cnn")(x.float()).exp().max(1)
    clear = (probability >= _SURE).double().mean().item()
    least = digit.bincount(minlength=_CLASSES).min().item() / _NUM
    return clear, least, (digit == asked).double().mean().item() if conditions else None


def main() -> None:
    """Print a line for each model and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="such as gan or ddpm+label; all by default")
    parser.add_argument("--threads", type=int, default=1, help="0 for torch's default")
    parser.add_argument("--keep", type=Path, help="keep the trained models in this folder")
    given = parser.parse_args()
    torch.set_num_threads(given.threads or torch.get_num_threads())
    say(circumstances(torch.get_num_threads()))
    say("| model | seed | CPU-s | P ≥ .9 | rarest digit | as asked |")
    say("| --- | --- | --- | --- | --- | --- |")
    for case in cases():
        if given.only and str(case) not in given.only:
            continue
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as scratch:
                folder = str((given.keep or Path(scratch)) / f"{case}-{seed}")
                seconds = train(case, seed, given.threads, folder)
                clear, least, obeyed = judge(folder, seed=seed)
            last = "" if obeyed is None else f"{obeyed:.3f}"
            say(f"| {case} | {seed} | {seconds:.0f} | {clear:.3f} | {least:.3f} | {last} |")


if __name__ == "__main__":
    main()
