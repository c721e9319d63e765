"""A step of the Trainer compared with that of a loop by hand: paired CPU time, one thread.

    python benchmarks/training_step_pairs.py --pairs 30

Two models: a VAE 784-400-20 with batches of 128, and a nearly empty one, an affine map of 20
values with batches of 32, whose step is all overhead. The loop by hand does the same arithmetic on
the same rows in memory, in a seeded order, with fused Adam, and reads the loss of every step. It
has no log, checkpoint, seeded moves or check of gradients. Each pair trains both from the start,
the first one changing from pair to pair, and gives one ratio. Printed are the median of the ratios
and the 95 % interval of that median from the order statistics.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from step_time_pairs import interval
from timing import circumstances, say
from torch import Tensor, nn
from vae_training_speed import HIDDEN, LATENT, Net

import genzoo
from genzoo.data import from_array
from genzoo.plugin import Batch, Config, Loss, Model, Objective, Space, Step

ROWS, SIZE = 20_000, 20
BATCH = {"vae": 128, "affine": 32}
STEPS = {"vae": 390, "affine": 2000}
SEED = 0
Run = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class AffineConfig(Config):
    """An affine map."""

    event: Space


class Affine(Model[AffineConfig]):
    """A nearly empty model."""

    Config = AffineConfig
    event_spaces = (genzoo.Real,)

    def __init__(self, config: AffineConfig) -> None:
        super().__init__(config)
        self.net = nn.Linear(SIZE, SIZE)

    @classmethod
    def example(cls) -> tuple[AffineConfig, Batch]:
        """Return a config and rows."""
        event = genzoo.Real(shape=(SIZE,))
        return AffineConfig(event=event), {"x": torch.zeros(4, SIZE)}

    @classmethod
    def default_stages(cls, config: AffineConfig) -> tuple[genzoo.Stage, ...]:
        """Return nothing: the objective is given."""
        return ()

    @classmethod
    def default_sampler(cls, config: AffineConfig) -> genzoo.Component:
        """Return nothing: it does not sample."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class NoConfig(Config):
    """Nothing to choose."""


class Squares(Objective[NoConfig]):
    """The mean squared distance of an affine map to 1."""

    Config = NoConfig

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the loss."""
        yield Loss((self.model.net(batch["x"]) - 1).square().mean())


class AffineLoss(nn.Module):
    """The same by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(SIZE, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of rows."""
        loss: Tensor = (self.net(x) - 1).square().mean()
        return loss


def by_hand(make: Callable[[], nn.Module], x: Tensor, steps: int, size: int) -> Run:
    """Return a function that trains by hand."""

    def run() -> None:
        net = make()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        generator = torch.Generator().manual_seed(SEED)
        per_epoch = len(x) // size
        for step in range(steps):
            place = step % per_epoch
            if place == 0:
                order = torch.randperm(len(x), generator=generator)
            rows = x.index_select(0, order[place * size : (place + 1) * size]).float()
            optimizer.zero_grad()
            loss = net(rows)
            loss.backward()
            optimizer.step()
            loss.item()

    return run


def pairs() -> dict[str, tuple[Run, Run]]:
    """Return, for each model, how genzoo and how the loop by hand train it."""
    generator = torch.Generator().manual_seed(SEED)
    images = (torch.rand(ROWS, 1, 28, 28, generator=generator) < 0.15).to(torch.uint8)
    values = torch.randn(ROWS, SIZE, generator=generator)
    bits, reals = from_array(images, "bits"), from_array(values, "reals")
    event = genzoo.Binary(shape=(1, 28, 28))

    def config(name: str) -> genzoo.TrainerConfig:
        return genzoo.TrainerConfig(
            max_steps=STEPS[name], batch_size=BATCH[name], threads=1, progress=False
        )

    def vae() -> None:
        model = genzoo.create_model("vae", event=event, latent_dim=LATENT, hidden_dims=(HIDDEN,))
        stage = genzoo.Stage(objective=genzoo.Component(name="elbo"))
        genzoo.Trainer(model, bits, stage, config("vae")).fit()

    def affine() -> None:
        model = Affine(AffineConfig(event=genzoo.Real(shape=(SIZE,))))
        genzoo.Trainer(model, reals, Squares(model), config("affine")).fit()

    return {
        "vae": (vae, by_hand(Net, images.flatten(1), STEPS["vae"], BATCH["vae"])),
        "affine": (affine, by_hand(AffineLoss, values, STEPS["affine"], BATCH["affine"])),
    }


def seconds(run: Run) -> float:
    """Return the CPU time of a run."""
    began = time.process_time()
    run()
    return time.process_time() - began


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--models", nargs="+", default=list(STEPS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1))
    known = pairs()
    for name in options.models:
        ours, hand = known[name]
        seconds(ours), seconds(hand)  # The first ones warm up.
        ratios, steps = [], []
        for pair in range(options.pairs):
            first, second = (ours, hand) if pair % 2 else (hand, ours)
            spent = {first: seconds(first), second: seconds(second)}
            ratios.append(spent[ours] / spent[hand])
            steps.append(1e3 * spent[hand] / STEPS[name])
        low, high = interval(ratios)
        say(
            f"{name:<6} {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}), "
            f"{options.pairs} pairs, {statistics.median(steps):.3f} ms CPU a step by hand"
        )


if __name__ == "__main__":
    main()
