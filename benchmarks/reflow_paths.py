"""Paths of a flow of the plane, before and after reflow: a picture, and figures.

A first flow of `ring` trains with its defaults, a second one starts from it and learns from the
pairs that it joins. Drawn are the paths of the same noise under both, from grey to blue; printed
are the bend of paths, E ‖(x_1 − x_0) − u(x_t, t)‖², and the share of samples within three standard
deviations of a mode, by the number of Euler steps.

| Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow
| (Liu, Gong, Liu, 2023)

Usage: python benchmarks/reflow_paths.py [--max-steps 10000] [--reflow-steps 3000] [--seed 0]
    [--output docs/images/reflow.png]
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import matplotlib
import torch
from conditional_ring import FINE
from timing import circumstances, say
from torch import Tensor

import genzoo
from genzoo import Component, Stage, Trainer, TrainerConfig, registry
from genzoo.data import Dataset

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

NUM, SHOWN, STEPS = 4000, 150, (1, 2, 4, 8, 50)


@torch.no_grad()
def path(model: genzoo.GenerativeModel, steps: int) -> Tensor:
    """Return the states of Euler's method from the same noise, (steps + 1, NUM, 2)."""
    cls, generator = registry.load("samplers", "euler"), torch.Generator().manual_seed(1)
    noise = torch.randn(NUM, 2, generator=generator)
    sampler = cls(cls.Config(num_inference_steps=steps))
    states = sampler.trajectory(model, NUM, start=noise, generator=generator)
    return torch.stack([noise, *states])


def row(model: genzoo.GenerativeModel, data: Dataset) -> str:
    """Return the bend, and the share of samples at a mode for each number of steps."""
    mixture = data.info.mixture["x"]
    fine = path(model, FINE)
    bends = (FINE * fine.diff(dim=0) - (fine[-1] - fine[0])).square().sum(2).mean()
    shares = []
    for steps in STEPS:
        nearest = torch.cdist(path(model, steps)[-1].double(), mixture.means.double()).min(1)
        shares.append(f"{(nearest.values < 3 * mixture.sigma).double().mean():.3f}")
    return " | ".join([f"{bends:.4f}", *shares])


def draw(models: dict[str, genzoo.GenerativeModel], output: Path) -> None:
    """Draw the paths of each model in a panel."""
    figure, panels = plt.subplots(1, len(models), figsize=(9, 4.6), sharex=True, sharey=True)
    for panel, (title, model) in zip(panels, models.items(), strict=True):
        states = path(model, FINE)[:, :SHOWN]
        lines = LineCollection(states.transpose(0, 1).numpy(), colors="0.6", linewidths=0.7)
        panel.add_collection(lines)
        panel.plot(*states[0].T, ".", color="0.35", markersize=3, label="noise, t = 1")
        panel.plot(*states[-1].T, ".", color="tab:blue", markersize=4, label="samples, t = 0")
        panel.set_title(title, fontsize=11)
        panel.set_aspect("equal")
    panels[0].legend(loc="upper left", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(output, dpi=110)


def main() -> None:
    """Train both flows, print their figures and draw their paths."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--max-steps", type=int, default=10_000)
    parser.add_argument("--reflow-steps", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/images/reflow.png"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(given.seed)
    data = genzoo.load_dataset("ring", "train")
    first = genzoo.create_model("rectified-flow", data=data)
    common = {"seed": given.seed, "sample_steps": 0, "progress": False}
    trainer = TrainerConfig(max_steps=given.max_steps, **common)
    Trainer(first, data, config=trainer).fit().eval()
    second = copy.deepcopy(first)
    (stage,) = first.default_stages(first.config)
    again = Stage(objective=Component(name="reflow", config={"lr": 1e-3}), trainer=stage.trainer)
    trainer = TrainerConfig(max_steps=given.reflow_steps, **common)
    Trainer(second, data, [again], trainer).fit().eval()
    models = {"flow matching": first, "after reflow": second}
    say(circumstances(1), f"seed {given.seed}; {NUM:,} samples")
    say(f"| flow | bend | {' | '.join(f'{steps} steps' for steps in STEPS)} |")
    say("| --- " * (2 + len(STEPS)) + "|")
    for title, model in models.items():
        say(f"| {title} | {row(model, data)} |")
    draw(models, given.output)


if __name__ == "__main__":
    main()
