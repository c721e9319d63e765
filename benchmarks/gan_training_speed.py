"""How fast a GAN trains through the Trainer, against a hand-written loop of the same networks.

Two games of the non-saturating loss: fully connected networks on points in the plane (3 × 128
units, 256 rows a step), and convolutions on images of clothes (28 × 28, 64 rows). The loop by hand
draws new codes for each player's move, as genzoo does, takes the same fused Adam, and has no log,
no checkpoint and no look at whether a loss is finite. A second one, as tutorials have it, shows
the critic and then the generator's loss the same fakes, and so makes them once in place of twice.
Times are the processor's.

Usage: python benchmarks/gan_training_speed.py [--games plane] [--rounds 7] [--steps 400]
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from timing import circumstances, in_turn, ratio, say
from torch import Tensor, nn

import genzoo
import genzoo.plugin
from genzoo_gan.game import make_critic
from genzoo_gan.objectives import NonSaturating
from genzoo_gan.views import View

Run = Callable[[], object]
GAMES: dict[str, dict[str, Any]] = {
    "plane": {
        "data": "grid",
        "batch": 256,
        "event": genzoo.Real(shape=(2,)),
        "latent_dim": 2,
        "hidden_dims": (128, 128, 128),
    },
    "images": {
        "data": "fashion-mnist",
        "batch": 64,
        "event": genzoo.Unit(shape=(1, 28, 28)),
        "latent_dim": 64,
        "hidden_dims": (64, 32),
        "network": "convolutional",
    },
}


def make(game: Mapping[str, Any]) -> Any:
    """Return a new model."""
    torch.manual_seed(0)
    config = {k: v for k, v in game.items() if k not in ("data", "batch")}
    return genzoo.create_model("gan", **config)


def through_the_trainer(data: genzoo.plugin.Dataset, game: Mapping[str, Any], steps: int) -> Run:
    """Return a function that makes so many steps as `genzoo train` does."""

    def run() -> None:
        config = genzoo.TrainerConfig(max_steps=steps, batch_size=game["batch"], progress=False)
        genzoo.Trainer(make(game), data, "non-saturating", config).fit()

    return run


def by_hand(x: Tensor, game: Mapping[str, Any], steps: int, *, once: bool) -> Run:
    """Return a function that makes so many steps as one writes them; x as it lies in memory."""

    def run() -> None:
        model = make(game)
        critic = make_critic(model, NonSaturating.Config())
        networks = {"d": critic, "g": model.generator}
        adam = {
            k: torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)
            for k, n in networks.items()
        }
        order = torch.randint(len(x), (steps, game["batch"]))
        for rows in order:
            step(model, critic, adam, _floats(x.index_select(0, rows)), once=once)

    return run


def step(
    model: Any, critic: nn.Module, adam: Mapping[str, torch.optim.Adam], x: Tensor, *, once: bool
) -> None:
    """Make one step of both players."""
    fake = model.generate(torch.randn(len(x), model.config.latent_dim)) if once else None
    with torch.no_grad():
        shown = (
            model.generate(torch.randn(len(x), model.config.latent_dim)) if fake is None else fake
        )
    loss = F.softplus(-critic(View(x))).mean() + F.softplus(critic(View(shown.detach()))).mean()
    adam["d"].zero_grad()
    loss.backward()
    adam["d"].step()
    loss.item()
    if fake is None:
        fake = model.generate(torch.randn(len(x), model.config.latent_dim))
    loss = F.softplus(-critic(View(fake))).mean()
    adam["g"].zero_grad()
    loss.backward()
    adam["g"].step()
    loss.item()


def _floats(x: Tensor) -> Tensor:
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def main() -> None:
    """Print milliseconds a step, and ratios of times within one run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="+", choices=sorted(GAMES), default=sorted(GAMES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.rounds} rounds of {given.steps} steps")
    for name in given.games:
        game = GAMES[name]
        data = genzoo.load_dataset(game["data"])
        functions = {
            "genzoo": through_the_trainer(data, game, given.steps),
            "by hand": by_hand(data.x, game, given.steps, once=False),
            "by hand, the same fakes": by_hand(data.x, game, given.steps, once=True),
        }
        seconds = in_turn(functions, given.rounds, time.process_time)
        for who, taken in seconds.items():
            best = 1000 * min(taken) / given.steps
            say(
                f"{name}, {who}: best {best:.2f} ms a step; genzoo takes "
                f"{ratio(seconds, 'genzoo', who)} times as long"
            )


if __name__ == "__main__":
    main()
