"""How fast a CycleGAN trains by the Trainer, against a hand-written loop of the same networks.

Fashion-MNIST and its negative at 14 × 14, batches of 16, the networks of recipes/
cyclegan-negative.toml; equal threads, float32. The loop by hand is that of the paper's own code:
the critics are frozen while the translators move, and a pool gives each critic earlier fakes. It
is timed with torch's default Adam and with its fused one, which genzoo takes.

Usage: python benchmarks/cyclegan_training_speed.py [--threads 1] [--rounds 5] [--steps 60]
"""

from __future__ import annotations

import argparse
import itertools
import logging
import random
import statistics
from collections.abc import Callable

import torch
from timing import circumstances, in_turn, ratio, say
from torch import Tensor, nn

import genzoo
import genzoo.plugin
from genzoo_gan.patches import PatchCritic
from genzoo_gan.translators import ResNetTranslator

BATCH, SHAPE, POOL, LAMBDA = 16, (1, 14, 14), 50, 10.0
WIDTH, BLOCKS, HALVINGS, CRITIC_WIDTH, HOW = 16, 3, 1, 32, "layer"
Run = Callable[[], object]


class Pool:
    """The pool of earlier fakes, image by image."""

    def __init__(self) -> None:
        self.images: list[Tensor] = []

    def query(self, fakes: Tensor) -> Tensor:
        """Return what the critic is shown in place of fakes (B, C, H, W)."""
        shown = []
        for fake in fakes.detach().split(1):
            if len(self.images) < POOL:
                self.images.append(fake)
                shown.append(fake)
            elif random.random() > 0.5:
                place = random.randrange(POOL)
                shown.append(self.images[place])
                self.images[place] = fake
            else:
                shown.append(fake)
        return torch.cat(shown)


def freeze(networks: list[nn.Module], frozen: bool) -> None:
    """Take networks out of the gradient, or back in."""
    for parameter in itertools.chain(*(network.parameters() for network in networks)):
        parameter.requires_grad_(not frozen)


def by_hand(x: Tensor, y: Tensor, steps: int, *, fused: bool) -> Run:
    """Return a function that makes so many steps of the loop by hand."""

    def run() -> None:
        G, F = (ResNetTranslator(1, 1, WIDTH, BLOCKS, HALVINGS, HOW) for _ in range(2))
        D_X, D_Y = (PatchCritic(SHAPE, CRITIC_WIDTH, None, HOW) for _ in range(2))
        pool_x, pool_y = Pool(), Pool()
        both, critics = itertools.chain(G.parameters(), F.parameters()), [D_X, D_Y]
        move_translators = torch.optim.Adam(both, lr=1e-3, betas=(0.5, 0.999), fused=fused)
        both = itertools.chain(D_X.parameters(), D_Y.parameters())
        move_critics = torch.optim.Adam(both, lr=1e-3, betas=(0.5, 0.999), fused=fused)
        l1, mse = nn.L1Loss(), nn.MSELoss()
        orders = [torch.randperm(len(data)) for data in (x, y)]
        for step in range(steps):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            real_x, real_y = (2 * d[o[rows]] - 1 for d, o in zip((x, y), orders, strict=True))
            fake_y, fake_x = G(real_x), F(real_y)
            back_x, back_y = F(fake_y), G(fake_x)
            freeze(critics, True)
            move_translators.zero_grad()
            said_x, said_y = D_X(fake_x), D_Y(fake_y)
            loss = mse(said_x, torch.ones_like(said_x)) + mse(said_y, torch.ones_like(said_y))
            loss = loss + LAMBDA * (l1(back_x, real_x) + l1(back_y, real_y))
            loss.backward()
            move_translators.step()
            freeze(critics, False)
            move_critics.zero_grad()
            for critic, pool, real, fake in (
                (D_X, pool_x, real_x, fake_x),
                (D_Y, pool_y, real_y, fake_y),
            ):
                said, of_fakes = critic(real), critic(pool.query(fake))
                loss = mse(said, torch.ones_like(said)) + mse(of_fakes, torch.zeros_like(of_fakes))
                (0.5 * loss).backward()
            move_critics.step()
            loss.item()

    return run


def through_the_trainer(data: genzoo.plugin.Dataset, steps: int, threads: int) -> Run:
    """Return a function that makes as many steps as `genzoo train` does."""

    def run() -> None:
        model = genzoo.create_model(
            "cyclegan",
            event=genzoo.Unit(shape=SHAPE),
            width=WIDTH,
            num_blocks=BLOCKS,
            num_halvings=HALVINGS,
            normalization=HOW,
        )
        config = genzoo.TrainerConfig(
            max_steps=steps, batch_size=BATCH, threads=threads, progress=False
        )
        values = {"critic_width": CRITIC_WIDTH, "lr": 1e-3, "pool_size": POOL}
        stage = genzoo.Stage(objective=genzoo.Component(name="cycle", config=values))
        genzoo.Trainer(model, data, stage, config).fit()

    return run


def main() -> None:
    """Print milliseconds a step, and ratios of times within one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.WARNING)
    torch.set_num_threads(given.threads)
    data = genzoo.load_dataset("fashion-mnist-negative", size=14)
    x, y = (part.head(given.steps * BATCH)["x"] for part in (data.x, data.y))
    ours = "genzoo"
    functions = {
        ours: through_the_trainer(data, given.steps, given.threads),
        "by hand, fused Adam": by_hand(x, y, given.steps, fused=True),
        "by hand, default Adam": by_hand(x, y, given.steps, fused=False),
    }
    seconds = in_turn(functions, given.rounds)
    say(
        circumstances(given.threads),
        f"milliseconds a step in the median and in the best of {given.rounds} rounds; how many",
        f"times as long each took as {ours}, and {ours} as each, round by round: median and range",
    )
    for name, values in seconds.items():
        median, best = (1e3 * f(values) / given.steps for f in (statistics.median, min))
        as_ours, ours_as = ratio(seconds, name, ours), ratio(seconds, ours, name)
        say(f"  {name:<22} {median:>7.1f} {best:>7.1f}   {as_ours}   {ours_as}")


if __name__ == "__main__":
    main()
