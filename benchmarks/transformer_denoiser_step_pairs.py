"""A step of training a transformer denoiser, compared with the same step by hand.

The model is a `ddpm` of images of 8 × 8 pixels with labels: 16 patches, four blocks of width 128,
with the cosine schedule and v as the target. By hand it is a plain torch module of the same
arithmetic, trained by a loop with fused Adam that reads the loss of every step. Each pair trains
both from the start, the first one changing from pair to pair, and gives one ratio of CPU times.
Printed are the median and its 95 % interval from the order statistics.

Usage: python benchmarks/transformer_denoiser_step_pairs.py [--pairs 30]
"""

from __future__ import annotations

import argparse
import math
import statistics

import torch
import torch.nn.functional as F
from step_time_pairs import interval
from timing import circumstances, say
from torch import Tensor, nn
from training_step_pairs import Run, seconds

import genzoo
from genzoo.data import from_array

ROWS, SIDE, PATCH, SEED = 4000, 8, 2, 0
DIM, BLOCKS, HEADS, CLASSES, T = 128, 4, 4, 10, 250
BATCH, STEPS, DROPPED = 64, 40, 0.1


class Block(nn.Module):
    """Attention and two layers, whose norms have shifts, scales and gates."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.up, self.down = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def forward(self, h: Tensor, told: tuple[Tensor, ...]) -> Tensor:
        """Return the vectors after the block."""
        shift, scale, gate, shift_2, scale_2, gate_2 = told
        parts = self.qkv(scaled(h, shift, scale)).unflatten(-1, (3, HEADS, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(q, k, v)
        h = h + gate * self.proj(found.transpose(1, 2).flatten(2))
        out: Tensor = h + gate_2 * self.down(F.gelu(self.up(scaled(h, shift_2, scale_2))))
        return out


class Denoiser(nn.Module):
    """The network by hand, and its loss."""

    def __init__(self) -> None:
        super().__init__()
        tokens, values = (SIDE // PATCH) ** 2, PATCH**2
        share = torch.arange(T + 1, dtype=torch.float64) / T
        f = (math.pi / 2 * (share + 0.008) / 1.008).cos().square()
        alpha_bar = torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(max=0.999), 0)
        self.a, self.s = alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()
        self.rates = torch.exp(-math.log(10_000) * torch.arange(DIM // 2) / (DIM // 2))
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, DIM))
        self.time = nn.Sequential(nn.Linear(DIM, DIM), nn.SiLU(), nn.Linear(DIM, DIM))
        self.classes = nn.Embedding(CLASSES + 1, DIM)
        self.told = nn.Linear(DIM, (6 * BLOCKS + 2) * DIM)
        self.input, self.output = nn.Linear(values, DIM), nn.Linear(DIM, values)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        nn.init.zeros_(self.told.weight)

    def predict(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Return v."""
        angle = t[:, None] * self.rates
        c = self.time(torch.cat([angle.cos(), angle.sin()], 1)) + self.classes(label)
        told = self.told(F.silu(c)).unflatten(1, (-1, 1, DIM)).unbind(1)
        h = self.input(F.pixel_unshuffle(x, PATCH).flatten(2).transpose(1, 2)) + self.positions
        for i, block in enumerate(self.blocks):
            h = block(h, told[6 * i : 6 * i + 6])
        found = self.output(scaled(h, *told[-2:])).transpose(1, 2)
        grid = found.unflatten(2, (SIDE // PATCH, SIDE // PATCH))
        return F.pixel_shuffle(grid, PATCH)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """Return the loss of images in [0, 1]."""
        x_0, t = 2 * x - 1, torch.randint(T, (len(x),))
        epsilon = torch.randn_like(x_0)
        label = label.masked_fill(torch.rand(len(x)) < DROPPED, CLASSES)
        a, s = self.a[t].view(-1, 1, 1, 1), self.s[t].view(-1, 1, 1, 1)
        found = self.predict(a * x_0 + s * epsilon, t, label)
        return (found - (a * epsilon - s * x_0)).square().mean()


def scaled(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return an adaptive layer norm."""
    return F.layer_norm(h, (DIM,)) * (1 + scale) + shift


def by_hand(x: Tensor, label: Tensor) -> Run:
    """Return a function that trains by hand."""

    def run() -> None:
        net = Denoiser()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
        for step in range(STEPS):
            rows = order[step * BATCH : (step + 1) * BATCH]
            optimizer.zero_grad()
            loss = net(x[rows].float() / 16, label[rows])
            loss.backward()
            optimizer.step()
            loss.item()

    return run


def through_the_trainer(x: Tensor, label: Tensor) -> Run:
    """Return a function that trains a model by `genzoo.Trainer`."""
    data = from_array(x.float() / 16, "images", label=label)
    network = {"network": "transformer", "patch_size": PATCH, "hidden_dim": DIM}

    def run() -> None:
        model = genzoo.create_model(
            "ddpm",
            data=data,
            conditions=("label",),
            num_layers=BLOCKS,
            num_heads=HEADS,
            num_train_timesteps=T,
            schedule="cosine",
            prediction_type="v_prediction",
            condition_dropout=DROPPED,
            **network,
        )
        config = genzoo.TrainerConfig(
            max_steps=STEPS, batch_size=BATCH, threads=1, progress=False, sample_steps=0
        )
        stage = genzoo.Stage(objective=genzoo.Component(name="denoising"))
        genzoo.Trainer(model, data, stage, config).fit()

    return run


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.pairs} pairs, CPU time, genzoo / by hand")
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randint(17, (ROWS, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    label = torch.arange(ROWS) % CLASSES
    runs = through_the_trainer(x, label), by_hand(x, label)
    for run in runs:
        run()
    ratios, steps = [], []
    for pair in range(given.pairs):
        first = pair % 2
        times = {which: seconds(runs[which]) for which in (first, 1 - first)}
        ratios.append(times[0] / times[1])
        steps.append(1e3 * times[1] / STEPS)
    low, high = interval(ratios)
    say(
        f"ddpm, transformer: {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f}), "
        f"{statistics.median(steps):.1f} ms CPU a step by hand"
    )


if __name__ == "__main__":
    main()
