"""A step of training PixelCNN and a transformer, compared with the same step by hand.

The networks by hand are plain torch modules of the same arithmetic: gated convolutions of padded
images, and blocks of causal attention; their loop takes fused Adam and reads the loss of every
step. Each pair trains both from the start, the first one changing from pair to pair, and gives
one ratio of CPU times. Printed are the median and its 95 % interval from the order statistics.

Usage: python benchmarks/autoregressive_step_pairs.py [--pairs 30]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from step_time_pairs import interval
from timing import circumstances, say
from torch import Tensor, nn
from training_step_pairs import Run, seconds

import genzoo
from genzoo.data import from_array

ROWS, SIDE, SEED = 2000, 28, 0
WIDTH, LAYERS = 32, 5
DIM, BLOCKS, HEADS = 64, 3, 4
BATCH = {"pixelcnn": 25, "transformer": 8}
STEPS = {"pixelcnn": 8, "transformer": 8}


class GatedLayer(nn.Module):
    """A layer of both stacks of a gated PixelCNN."""

    def __init__(self, num: int, size: int, own: int) -> None:
        super().__init__()
        self.half, self.own = size // 2, own
        self.vertical = nn.Conv2d(num, 2 * WIDTH, (self.half + own, size))
        self.horizontal = nn.Conv2d(num, 2 * WIDTH, (1, self.half + own), bias=False)
        self.across = nn.Conv2d(2 * WIDTH, 2 * WIDTH, 1)
        self.out = nn.Conv2d(WIDTH, 2 * WIDTH, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both stacks and what is summed."""
        above, left = (v, h) if self.own else (v[:, :, :-1], h[..., :-1])
        new_v = self.vertical(F.pad(above, (self.half, self.half, self.half, 0)))
        new_h = self.horizontal(F.pad(left, (self.half, 0))) + self.across(new_v)
        a, b = new_v.chunk(2, 1)
        up = a.tanh() * b.sigmoid()
        a, b = new_h.chunk(2, 1)
        more, skip = self.out(a.tanh() * b.sigmoid()).chunk(2, 1)
        return (v + up, h + more, skip) if self.own else (up, more, skip)


class PixelCNN(nn.Module):
    """A gated PixelCNN by hand: the loss of images."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(2, 7, 0), *[(WIDTH, 3, 1)] * (LAYERS - 1)]
        self.layers = nn.ModuleList(GatedLayer(*size) for size in sizes)
        self.hidden, self.logits = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of −log p(x)."""
        v = h = torch.cat([x, torch.ones_like(x)], dim=1)
        total: Tensor | float = 0.0
        for layer in self.layers:
            v, h, skip = layer(v, h)
            total = total + skip
        features = torch.as_tensor(total).permute(0, 2, 3, 1).reshape(-1, WIDTH)
        logits = self.logits(self.hidden(features.relu()).relu()).view(len(x), -1)
        loss: Tensor = -F.logsigmoid((2 * x.flatten(1) - 1) * logits).sum(1).mean()
        return loss


class Transformer(nn.Module):
    """A causal transformer by hand: the loss of images."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.value = nn.Parameter(torch.randn(DIM)), nn.Linear(1, DIM, bias=False)
        self.positions = nn.Parameter(0.02 * torch.randn(SIDE * SIDE, DIM))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(DIM),
                    "qkv": nn.Linear(DIM, 3 * DIM),
                    "out": nn.Linear(DIM, DIM),
                    "mlp": nn.Sequential(
                        nn.LayerNorm(DIM),
                        nn.Linear(DIM, 4 * DIM),
                        nn.GELU(),
                        nn.Linear(4 * DIM, DIM),
                    ),
                }
            )
            for _ in range(BLOCKS)
        )
        self.head = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, 1, bias=False))
        self.bias = nn.Parameter(torch.zeros(SIDE * SIDE))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of −log p(x)."""
        x = x.flatten(1)
        values = self.value(x[:, :-1, None])
        h = torch.cat([self.start.expand(len(x), 1, -1), values], dim=1) + self.positions
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            q, k, v = (
                part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
                for part in block["qkv"](block["norm"](h)).chunk(3, -1)
            )
            found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            h = h + block["out"](found.transpose(1, 2).flatten(2))
            h = h + block["mlp"](h)
        logits = self.head(h)[..., 0] + self.bias
        loss: Tensor = -F.logsigmoid((2 * x - 1) * logits).sum(1).mean()
        return loss


def by_hand(make: Callable[[], nn.Module], x: Tensor, steps: int, size: int) -> Run:
    """Return a function that trains by hand."""

    def run() -> None:
        net = make()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(SEED))
        for step in range(steps):
            rows = x[order[step * size : (step + 1) * size]].float()
            optimizer.zero_grad()
            loss = net(rows)
            loss.backward()
            optimizer.step()
            loss.item()

    return run


def through_the_trainer(name: str, x: Tensor) -> Run:
    """Return a function that trains a model by `genzoo.Trainer`."""
    data, event = from_array(x, "bits"), genzoo.Binary(shape=(1, SIDE, SIDE))

    def run() -> None:
        model = genzoo.create_model(name, event=event)
        config = genzoo.TrainerConfig(
            max_steps=STEPS[name], batch_size=BATCH[name], threads=1, progress=False
        )
        stage = genzoo.Stage(objective=genzoo.Component(name="nll"))
        genzoo.Trainer(model, data, stage, config).fit()

    return run


def main() -> None:
    """Print the ratio of each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1), f"{given.pairs} pairs, CPU time")
    x = (torch.rand(ROWS, 1, SIDE, SIDE) < 0.15).to(torch.uint8)
    nets: dict[str, Callable[[], nn.Module]] = {"pixelcnn": PixelCNN, "transformer": Transformer}
    for name, net in nets.items():
        runs = through_the_trainer(name, x), by_hand(net, x, STEPS[name], BATCH[name])
        for run in runs:
            run()
        ratios = []
        for pair in range(given.pairs):
            first = pair % 2
            times = {which: seconds(runs[which]) for which in (first, 1 - first)}
            ratios.append(times[0] / times[1])
        low, high = interval(ratios)
        say(f"{name}: genzoo / by hand {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
