"""How many modes of a mixture a GAN finds, and how many of its samples lie in one.

`ring` has 8 Gaussians, σ = 0.01, on a circle of radius 1; `grid` has 25, σ = 0.05, spaced by 2. Of
2,500 samples those within 3σ of a mode are of high quality; a mode is found where one of them is
nearest to it. Of the mixture itself the share is 0.989. Both networks have three hidden layers of
128 units, a code has two numbers; the averaged model is judged, once, at the end.

Usage: python benchmarks/gan_modes.py ring [--game GAME] [--seeds 5] [--steps 16000] [--batch-norm]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from timing import circumstances, say

import genzoo
import genzoo.plugin
from genzoo.evaluation.modes import captured

GAMES: dict[str, dict[str, Any]] = {
    "minimax": {"name": "minimax"},
    "non-saturating": {"name": "non-saturating"},
    "least-squares": {"name": "least-squares"},
    "hinge": {"name": "hinge"},
    "unrolled": {"name": "unrolled", "unrolled_steps": 2, "unrolled_lr": 0.05},
    "wasserstein": {"name": "wasserstein", "clip": 0.1, "critic_steps": 3},
    "wasserstein-gp": {"name": "wasserstein-gp", "gp": 0.1, "critic_steps": 2},
    "packed": {"name": "non-saturating", "packing": 2},
    "r1": {"name": "non-saturating", "r1": 0.01},
    "r1-fading": {"name": "non-saturating", "r1": 0.3, "r1_fade": 0.6},
    "spectral": {"name": "hinge", "spectral_norm": True},
}


def train(data: genzoo.plugin.Dataset, game: str, given: argparse.Namespace, seed: int) -> Any:
    """Return a trained model."""
    lr, critic_lr, steps = given.lr, given.critic_lr, given.steps
    torch.manual_seed(seed)
    model = genzoo.create_model(
        "gan", event=genzoo.Real(shape=(2,)), latent_dim=2, hidden_dims=(128, 128, 128)
    )
    name, *rest = GAMES[game].items()
    objective = genzoo.Component(
        name=name[1], config={"lr": lr, "critic_lr": critic_lr, **dict(rest)}
    )
    config = genzoo.TrainerConfig(
        max_steps=steps,
        batch_size=256,
        lr_scheduler="linear",
        ema_decay=0.999,
        threads=1,
        progress=False,
        seed=seed,
    )
    genzoo.Trainer(model, data, genzoo.Stage(objective=objective), config).fit()
    return model


def judged(model: Any, data: genzoo.plugin.Dataset, num: int = 2500) -> tuple[int, float]:
    """Return the number of modes found and the share of samples of high quality."""
    counts = captured(model.sample(num, seed=1, batch_size=500), data.info.mixture["x"])
    return int((counts > 0).sum()), counts.sum().item() / num


def main() -> None:
    """Train one game with several seeds, and print what each reached, then mean and spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=["ring", "grid"])
    parser.add_argument("--game", choices=sorted(GAMES), default="non-saturating")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--critic-lr", type=float, default=2e-3)
    parser.add_argument("--batch-norm", action="store_true", help="in the generator")
    given = parser.parse_args()
    data = genzoo.load_dataset(given.data)
    say(
        f"{given.data}, {given.game}, {given.steps} steps of 256, rates {given.lr} of the "
        f"generator and {given.critic_lr} of the critic, falling to 0, "
        f"{'with' if given.batch_norm else 'without'} BatchNorm"
    )
    found = []
    for seed in range(given.seeds):
        began = time.process_time()
        model = train(data, given.game, given, seed)
        seconds = time.process_time() - began
        found.append(judged(model, data))
        modes, share = found[-1]
        say(f"seed {seed}: {modes} modes, {share:.4f} of high quality, {seconds:.0f} CPU-s")
    for what, values in zip(("modes", "share"), zip(*found, strict=True), strict=True):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        say(f"{what}: mean {statistics.mean(values):.4f}, deviation {spread:.4f}")
    say(circumstances(1))


if __name__ == "__main__":
    main()
