"""How many samples at once make the most samples a second, for each model, small and large.

Each model is drawn from in blocks of 1, 16, 32, …, 2048 in turn, as many of each as take a moment;
chains are cut to a few steps, for what a step costs is the question. Printed are the time of a
sample in multiples of the best block's, by block, each by its best round, which others' work
touches least; the same at `default_batch_size`; and the memory that such a block takes beyond the
model, in proportion to that of 256. Times are the processor's at one thread, the clock's at more.

Usage: python benchmarks/sampling_blocks.py [MODEL ...] [--seconds 10] [--threads 1]
"""

from __future__ import annotations

import argparse
import logging
import math
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from timing import circumstances, in_turn, say

import genzoo
from genzoo import registry

SIZES = (1, 16, 32, 64, 128, 256, 512, 1024, 2048)
MOMENT = 0.05
"""Seconds that each size is drawn for in a round, at least."""
ROWS = 256
"""Rows whose memory is measured."""
MOST = 4e9
"""Bytes that a block may take; larger ones are left out."""
LONGEST = 3.0
"""Seconds that a block may take; larger ones are left out."""


@dataclass(frozen=True)
class Question:
    """A model whose block is asked for: its name, config, sampler and condition."""

    model: str
    config: Mapping[str, Any]
    sampler: tuple[str, Mapping[str, Any]] | None = None
    condition: Callable[[int], Any] | None = None

    def make(self) -> Any:
        """Return the model, which has learned nothing."""
        torch.manual_seed(0)
        return genzoo.create_model(self.model, **self.config).eval()

    def draw(self, model: Any, size: int, times: int = 1) -> None:
        """Draw so many blocks of a size."""
        condition = None if self.condition is None else self.condition(size)
        sampler = None
        if self.sampler is not None:
            name, values = self.sampler
            cls = registry.load("samplers", name)
            sampler = cls(cls.Config.from_dict(values))
        for k in range(times):
            model.sample(size, condition=condition, sampler=sampler, seed=k, batch_size=size)


def images(num: int, *shape: int) -> torch.Tensor:
    """Return images to translate, or to classify."""
    return torch.rand(num, *shape, generator=torch.Generator().manual_seed(0))


GIBBS = ("gibbs", {"num_steps": 10})
TEMPERED = ("tempered-gibbs", {"num_steps": 1})
STEPS = ("ddim", {"num_inference_steps": 1})
GUIDED = ("ddim", {"num_inference_steps": 1, "guidance_scale": 2.0})
IMAGE, DIGIT = (1, 28, 28), (1, 8, 8)
ZEROS_AND_ONES = {"name": "binary", "config": {"shape": IMAGE}}
GREY, COLOURED = genzoo.Unit(shape=IMAGE).to_dict(), genzoo.Unit(shape=(3, 32, 32))
LABELS = {"label": genzoo.Label(num_classes=10)}
CODES = {
    "name": "vae",
    "config": {"event": ZEROS_AND_ONES, "latent_dim": 64, "hidden_dims": (512,)},
}
KL = {"name": "autoencoder-kl", "config": {"event": GREY, "channels": (16, 16, 32)}}
NEURAL = {"event": GREY, "hidden_dims": (64, 32), "network": "convolutional"}
DIGITS = genzoo.Binary(shape=DIGIT)
QUESTIONS = {
    "rbm 64 × 64": Question("rbm", {"event": DIGITS, "num_hidden": 64}, GIBBS),
    "rbm 784 × 500": Question("rbm", {"event": ZEROS_AND_ONES, "num_hidden": 500}, GIBBS),
    "rbm 784 × 500, tempered": Question(
        "rbm", {"event": ZEROS_AND_ONES, "num_hidden": 500}, TEMPERED
    ),
    "vae 64-100-2": Question("vae", {"event": DIGITS, "hidden_dims": (100,), "latent_dim": 2}),
    "vae 784-400-20": Question("vae", {"event": ZEROS_AND_ONES}),
    "vae 28 × 28, convolutions, grey levels": Question(
        "vae",
        {
            "event": genzoo.Unit(shape=IMAGE, levels=256),
            "network": "image",
            "hidden_dims": (32, 64),
        },
    ),
    "gan 2-128-128-128-2": Question(
        "gan", {"event": genzoo.Real(shape=(2,)), "latent_dim": 2, "hidden_dims": (128, 128, 128)}
    ),
    "gan 64-256-256-784": Question("gan", {"event": GREY}),
    "gan 28 × 28, convolutions": Question("gan", {**NEURAL, "batch_norm": True}),
    "gan 32 × 32 × 3, residual": Question(
        "gan", {**NEURAL, "event": COLOURED, "network": "residual"}
    ),
    "gan 64 × 64 × 3, convolutions": Question(
        "gan",
        {**NEURAL, "event": genzoo.Unit(shape=(3, 64, 64)), "hidden_dims": (256, 128, 64, 32)},
    ),
    "bigan 28 × 28, convolutions": Question("bigan", NEURAL),
    "conditional-gan 28 × 28, convolutions": Question(
        "conditional-gan", {**NEURAL, "conditions": LABELS}, condition=lambda num: 3
    ),
    "semi-supervised-gan 64-256-256-784": Question(
        "semi-supervised-gan", {"event": GREY, "num_classes": 10}
    ),
    "ddpm plane": Question("ddpm", {"event": genzoo.Real(shape=(2,))}, STEPS),
    "ddpm 64 values, 3 × 512": Question(
        "ddpm", {"event": genzoo.Real(shape=(64,)), "hidden_dim": 512}, STEPS
    ),
    "ddpm 8 × 8, U-Net 8-16": Question(
        "ddpm", {"event": genzoo.Unit(shape=DIGIT), "channels": (8, 16)}, STEPS
    ),
    "ddpm 28 × 28, U-Net 16-32-56": Question(
        "ddpm", {"event": GREY, "channels": (16, 32, 56)}, STEPS
    ),
    "ddpm 28 × 28, U-Net 32-64, guided": Question(
        "ddpm",
        {"event": GREY, "conditions": LABELS},
        GUIDED,
        lambda num: 3,
    ),
    "ddpm 32 × 32 × 3, U-Net 64-128-128": Question(
        "ddpm", {"event": COLOURED, "channels": (64, 128, 128)}, STEPS
    ),
    "latent-ddpm of 64 numbers": Question(
        "latent-ddpm", {"autoencoder": CODES, "hidden_dim": 512}, STEPS
    ),
    "latent-ddpm of 4 × 7 × 7": Question(
        "latent-ddpm", {"autoencoder": KL, "channels": (48,)}, STEPS
    ),
    "autoencoder-kl 28 × 28, 16-16-32": Question("autoencoder-kl", KL["config"]),
    "cyclegan 28 × 28, 16 wide": Question(
        "cyclegan",
        {"event": GREY, "width": 16, "num_blocks": 3},
        condition=lambda num: images(num, *IMAGE),
    ),
    "cyclegan 32 × 32 × 3, 64 wide": Question(
        "cyclegan",
        {"event": COLOURED},
        condition=lambda num: images(num, 3, 32, 32),
    ),
    "classifier 28 × 28": Question(
        "classifier",
        {"event": LABELS["label"], "conditions": {"x": GREY}},
        condition=lambda num: images(num, *IMAGE),
    ),
}


def memory(question: Question, size: int) -> float:
    """Return the bytes that a block takes beyond the model, in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def measure() -> None:
        model = question.make()
        question.draw(model, 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        question.draw(model, size)
        theirs.send(1024.0 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))

    process = context.Process(target=measure)
    process.start()
    process.join()
    return float(ours.recv()) if ours.poll() else float("nan")


def costs(question: Question, sizes: list[int], seconds: float, threads: int) -> dict[int, float]:
    """Return the seconds of a sample in multiples of the best size's, by size."""
    model, runs, one_round = question.make(), {}, 0.0
    clock = time.process_time if threads == 1 else time.perf_counter
    for size in sizes:
        taken = seconds_of(partial(question.draw, model, size), clock)
        if taken > LONGEST:
            break
        times = max(1, round(MOMENT / taken))
        runs[size] = partial(question.draw, model, size, times), size * times
        one_round += max(MOMENT, taken)
    rounds = max(3, round(seconds / one_round))
    found = in_turn({str(size): run for size, (run, _) in runs.items()}, rounds, clock)
    each = {size: min(found[str(size)]) / num for size, (_, num) in runs.items()}
    return {size: taken / min(each.values()) for size, taken in each.items()}


def seconds_of(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the seconds of a second run."""
    run()
    began = clock()
    run()
    return clock() - began


def row(name: str, given: argparse.Namespace) -> str:
    """Return what was found of a model, as a row of a table."""
    question = QUESTIONS[name]
    taken = memory(question, ROWS)
    sizes = [size for size in SIZES if taken / ROWS * size < MOST]
    default = question.make().default_batch_size
    found = costs(question, sorted({*sizes, default}), given.seconds, given.threads)
    cells = [name, str(default), f"{found.get(default, math.nan):.2f}"]
    cells += [f"{taken / ROWS * default / 1e6:.0f}"]
    cells += [f"{found[size]:.2f}" if size in found else "" for size in SIZES]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="what their names begin with; all by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each model")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(given.threads)
    say(circumstances(given.threads), "")
    titles = ["", "default", "its cost", "its MB", *map(str, SIZES)]
    say(f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|")
    for name in QUESTIONS:
        if name.startswith(tuple(given.models) or ("",)):
            say(row(name, given))


if __name__ == "__main__":
    main()
