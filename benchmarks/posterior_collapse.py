"""Posterior collapse: a PixelCNN as the decoder of a VAE, and what each remedy brings.

A VAE of Fashion-MNIST, cut at half its grey scale, whose decoder is a small PixelCNN that is given
the code. Every row has the same networks and the same CPU time of training, so that a remedy that
costs time has fewer updates. Printed for each seed, and as a mean: the bound (L_20 of 200 test
rows), both terms of the evidence bound on these rows, and the number of codes that are used.

| Generating Sentences from a Continuous Space (Bowman et al., 2016)
| Improving Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016)
| Auxiliary Guided Autoregressive Variational Autoencoders (Lucas, Verbeek, 2018)
| Semi-Amortized Variational Autoencoders (Kim, Wiseman, Miller, Sontag, Rush, 2018)

Usage: python benchmarks/posterior_collapse.py [--seeds 0 1 2] [--minutes 2] [--remedies NAME...]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import Any

import torch
from timing import circumstances, say

import genzoo
from genzoo import Component, Stage, Trainer, TrainerConfig, registry
from genzoo.data import Dataset
from genzoo.plugin import Step

LATENT, ROWS, DRAWS, BATCH = 16, 200, 20, 50
DECODER = {"name": "pixelcnn", "config": {"hidden_channels": 16, "num_layers": 4, "patch_size": 2}}
REMEDIES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "none": ({}, {}),
    "annealed KL": ({"kl_warmup": 0.5}, {}),
    "free bits": ({"free_bits": 0.5}, {}),
    "auxiliary loss": ({"auxiliary_weight": 0.2}, {}),
    "semi-amortised": (
        {},
        {"name": "semi-amortised", "config": {"num_steps": 4, "lr": 0.1, "num_samples": 1}},
    ),
}
"""For each remedy: values of the objective, and the posterior."""


def trained(remedy: str, data: Dataset, steps: int, seed: int) -> Any:
    """Return a model after a number of updates with a remedy."""
    values, posterior = REMEDIES[remedy]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = genzoo.create_model(
            "vae",
            data=data,
            latent_dim=LATENT,
            hidden_dims=(200,),
            decoder=DECODER,
            **({"posterior": posterior} if posterior else {}),
        )
    stage = Stage(
        objective=Component(name="elbo", config={"lr": 2e-3, **values}),
        trainer={"max_steps": steps, "batch_size": BATCH, "lr_scheduler": "linear"},
    )
    config = TrainerConfig(
        seed=seed, threads=1, progress=False, sample_steps=0, logging_steps=10**6
    )
    return Trainer(model, data, (stage,), config).fit()


def seconds_per_step(remedy: str, data: Dataset) -> float:
    """Return the CPU seconds of an update."""
    times = []
    for steps in (1, 1, 41):  # The first run imports what it needs.
        began = time.process_time()
        trained(remedy, data, steps, 0)
        times.append(time.process_time() - began)
    return (times[2] - times[1]) / 40


def judged(model: Any, x: torch.Tensor) -> dict[str, float]:
    """Return the bound, both terms of the evidence bound, and the number of active codes."""
    elbo = registry.make("objectives", Component(name="elbo", config={"num_samples": 4}), model)
    step = Step(1, 1, 0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        (loss,) = elbo.losses({"x": x}, step)
        generator = torch.Generator().manual_seed(0)
        bound = model.log_prob(x, num_samples=DRAWS, generator=generator).mean().value
    return {"bound": bound, **{name: t.item() for name, t in loss.metrics.items()}}


def main() -> None:
    """Print a line for each remedy and seed, then their means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--remedies", nargs="+", choices=REMEDIES, default=list(REMEDIES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = genzoo.load_dataset("fashion-mnist", "train", binarize="threshold")
    x = genzoo.load_dataset("fashion-mnist", "test", binarize="threshold").head(ROWS)["x"]
    say(circumstances(1), f"{given.minutes:g} CPU minutes each; nats a row")
    say("| remedy | seed | bound | reconstruction | KL | active codes | updates | CPU-s |")
    say("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for remedy in given.remedies:
        found, steps = [], int(60 * given.minutes / seconds_per_step(remedy, data))
        for seed in given.seeds:
            began = time.process_time()
            model = trained(remedy, data, steps, seed)
            seconds = time.process_time() - began
            found.append({**judged(model, x), "seconds": seconds, "updates": steps})
            say(_line(remedy, str(seed), found[-1]))
        means = {key: statistics.mean(each[key] for each in found) for key in found[0]}
        say(_line(f"**{remedy}**", "mean", means))


def _line(remedy: str, seed: str, figures: Mapping[str, float]) -> str:
    return (
        f"| {remedy} | {seed} | {figures['bound']:.2f} | {figures['reconstruction']:.2f} | "
        f"{figures['kl']:.2f} | {figures['active_units']:.1f} of {LATENT} | "
        f"{figures['updates']:.0f} | {figures['seconds']:.0f} |"
    )


if __name__ == "__main__":
    main()
