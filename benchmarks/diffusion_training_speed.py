"""How fast a diffusion model trains through the Trainer, against the step written on diffusers.

A U-Net of two million parameters, told of labels, images of 3 × 32 × 32, batches of 64. The step
by hand is that of diffusers' training scripts, made of its own parts: `UNet2DModel`,
`DDPMScheduler`, `EMAModel`; it leaves out a tenth of the labels, clips the gradient, takes torch's
fused Adam and reads the loss, as genzoo does, and has no look at whether the loss is finite, no
log and no checkpoint. Both draw their batches from the same rows in memory.

One step by hand is made between any two steps of the Trainer, so that both meet the same
circumstances, and what is set up once is not counted. Times are the processor's, of one thread.

Usage: python benchmarks/diffusion_training_speed.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import copy
import logging
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from diffusers.training_utils import EMAModel
from timing import circumstances, ratio, say
from torch import Tensor, nn

import genzoo
import genzoo.plugin

ROWS, BATCH, CLASSES, DECAY, CLIP, DROPPED = 2_048, 64, 10, 0.999, 1.0, 0.1
SHAPE, CHANNELS = (3, 32, 32), (32, 64, 96)
LABELS = genzoo.Label(num_classes=CLASSES)
WARM_UP = 2


class Rows(genzoo.plugin.Dataset):
    """Random images in memory that let somebody else work before each batch.

    Arguments:
        between: What is called then.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.rand(ROWS, *SHAPE, generator=generator)
        self.label = torch.randint(CLASSES, (ROWS,), generator=generator)
        self.info = genzoo.DataInfo(fields={"x": genzoo.Unit(shape=SHAPE), "label": LABELS})
        self.between, self.name = between, "random"

    def __len__(self) -> int:
        """Return the number of rows."""
        return ROWS

    def batch(self, indices: Any, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Return the rows at ``indices``."""
        self.between()
        return self.take(torch.as_tensor(indices))

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """Return rows."""
        return {"x": self.x[index], "label": self.label[index]}


class ByHand:
    """The training of a U-Net as one writes it on diffusers.

    Arguments:
        unet: Is trained.
        rows: Is trained on.
    """

    def __init__(self, unet: nn.Module, rows: Rows) -> None:
        self.unet, self.rows = unet.train(), rows
        self.scheduler = DDPMScheduler()
        self.optimizer = torch.optim.Adam(unet.parameters(), lr=2e-4, fused=True)
        self.average = EMAModel(unet.parameters(), decay=DECAY, foreach=True)

    def step(self) -> None:
        """Make one step."""
        batch = self.rows.take(torch.randint(ROWS, (BATCH,)))
        x, label = 2 * batch["x"] - 1, batch["label"]
        label = torch.where(torch.rand(BATCH) < DROPPED, CLASSES, label)
        noise, t = torch.randn_like(x), torch.randint(1000, (BATCH,))
        noisy = self.scheduler.add_noise(x, noise, t)
        output = self.unet(noisy, t, class_labels=label, return_dict=False)[0]
        loss = F.mse_loss(output, noise)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), CLIP)
        self.optimizer.step()
        self.average.step(self.unet.parameters())
        loss.item()


class Between:
    """Makes a step by hand between any two steps of the Trainer, and times both."""

    def __init__(self) -> None:
        self.by_hand: ByHand | None = None
        self.seconds: dict[str, list[float]] = {"genzoo": [], "by hand": []}
        self.since: float | None = None

    def __call__(self) -> None:
        """Note how long the Trainer's step took, and make one by hand."""
        if self.by_hand is None:
            return
        began = time.process_time()
        if self.since is not None:
            self.seconds["genzoo"].append(began - self.since)
        self.by_hand.step()
        self.since = time.process_time()
        self.seconds["by hand"].append(self.since - began)


def main() -> None:
    """Print seconds a step, and the ratio pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    logging.getLogger("genzoo").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = genzoo.create_model(
        "ddpm",
        event=genzoo.Unit(shape=SHAPE),
        channels=CHANNELS,
        conditions={"label": LABELS},
    )
    between = Between()
    rows = Rows(between)
    between.by_hand = ByHand(copy.deepcopy(model.network.unet), rows)
    config = genzoo.TrainerConfig(
        max_steps=given.pairs + WARM_UP + 1,
        batch_size=BATCH,
        max_grad_norm=CLIP,
        ema_decay=DECAY,
        threads=1,
        progress=False,
    )
    genzoo.Trainer(model, rows, "denoising", config).fit()
    last = WARM_UP + given.pairs
    seconds = {who: taken[WARM_UP:last] for who, taken in between.seconds.items()}
    size = sum(p.numel() for p in model.network.parameters())
    say(
        circumstances(1), f"{size / 1e6:.2f} M parameters, {len(seconds['genzoo'])} pairs of steps"
    )
    for who, taken in seconds.items():
        say(f"{who}: {statistics.median(taken):.2f} s a step, {min(taken):.2f} at best")
    say(f"genzoo takes {ratio(seconds, 'genzoo', 'by hand')} times as long")


if __name__ == "__main__":
    main()
