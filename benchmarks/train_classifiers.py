"""Train the small classifiers of genzoo_datasets, and print how good they are.

One thread, seeded; Adam with one cycle of the learning rate. Images are shifted, mirrored where
that keeps their class, and a part of them is binarised, by a cut or by a draw, since the
classifiers are to judge grey and binary images alike. The weights are rounded to float16.

Usage: python benchmarks/train_classifiers.py [digits-cnn] [fashion-cnn] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from timing import circumstances, say
from torch import Tensor

import genzoo
import genzoo_datasets
from genzoo_datasets.classifier import SHIPPED, Classifier, weights_file

HOME = Path(genzoo_datasets.__file__).parent / "weights"


@dataclass(frozen=True)
class Recipe:
    """How one classifier is trained.

    Arguments:
        epochs: Passes over the training split.
        shift: The greatest shift, in pixels, in either direction.
        mirrored: Whether a half of the images is mirrored left to right.
        binarised: The share of images that are binarised, a half of them by a cut.
        lr: The greatest learning rate.
    """

    epochs: int
    shift: int
    mirrored: bool
    binarised: float
    lr: float = 3e-3
    batch_size: int = 128
    weight_decay: float = 1e-2


RECIPES = {
    "digits-cnn": Recipe(epochs=100, shift=1, mirrored=False, binarised=1 / 2),
    "fashion-cnn": Recipe(epochs=10, shift=1, mirrored=True, binarised=1 / 3),
}
"""The recipes; all start from seed 0."""


def varied(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return images (B, 1, H, W) shifted, mirrored and binarised at random."""
    num, _, height, width = x.shape
    s = recipe.shift
    dy, dx = torch.randint(0, 2 * s + 1, (2, num, 1, 1), generator=generator)
    rows, columns = torch.arange(height)[:, None] + dy, torch.arange(width) + dx
    if recipe.mirrored:
        flip = torch.rand(num, 1, 1, generator=generator) < 0.5
        columns = torch.where(flip, columns.flip(2), columns)
    padded = F.pad(x, (s, s, s, s))[:, 0]
    moved = padded[torch.arange(num)[:, None, None], rows, columns][:, None]
    how, share = torch.rand(num, 1, 1, 1, generator=generator), recipe.binarised
    drawn = (moved > torch.rand(moved.shape, generator=generator)).float()
    cut = (moved > 0.5).float()
    return torch.where(how < 1 - share, moved, torch.where(how < 1 - share / 2, cut, drawn))


def batches(num: int, recipe: Recipe, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of every batch of one epoch."""
    order = torch.randperm(num, generator=generator)
    yield from order[: num // recipe.batch_size * recipe.batch_size].view(-1, recipe.batch_size)


def trained(name: str) -> Classifier:
    """Return a classifier trained by its recipe."""
    recipe, made = RECIPES[name], SHIPPED[name]
    data = genzoo.load_dataset(made.data)
    train = data.head(len(data))
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    classifier = Classifier(made).to(memory_format=torch.channels_last)  # Faster on a CPU.
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * (len(data) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    for epoch in range(recipe.epochs):
        for index in batches(len(data), recipe, generator):
            x = varied(train["x"][index], recipe, generator)
            x = x.to(memory_format=torch.channels_last)
            loss = F.nll_loss(classifier(x), train["label"][index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        say(f"  {name}, epoch {epoch + 1} of {recipe.epochs}: loss {loss.item():.4f}")
    return classifier.eval()


def rounded(classifier: Classifier) -> dict[str, Tensor]:
    """Return the weights in float16."""
    state = {key: value.contiguous() for key, value in classifier.state_dict().items()}
    return {k: value.half() if value.is_floating_point() else value for k, value in state.items()}


def accuracies(classifier: Classifier, name: str) -> dict[str, float]:
    """Return the share of test images that get their label, grey and binarised."""
    found = {}
    for how in (None, "threshold", "static"):
        data = genzoo.load_dataset(SHIPPED[name].data, "test", binarize=how)
        test = data.head(len(data))
        right = classifier.predict(test["x"]) == test["label"]
        found[how or "grey"] = right.double().mean().item()
    return found


def main() -> None:
    """Train, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RECIPES))
    parser.add_argument("--output", type=Path, default=HOME)
    given = parser.parse_args()
    torch.set_num_threads(1)
    say(circumstances(1))
    for name in given.names:
        began = time.perf_counter()
        classifier = trained(name)
        state = rounded(classifier)
        given.output.mkdir(parents=True, exist_ok=True)
        path = given.output / weights_file(name)
        safetensors.torch.save_file(state, path)
        classifier.load_state_dict(state)
        judged = ", ".join(f"{how} {x:.4f}" for how, x in accuracies(classifier, name).items())
        seconds = time.perf_counter() - began
        say(f"  {name}: test accuracy {judged}; {path.stat().st_size:,} bytes, {seconds:.0f} s")


if __name__ == "__main__":
    main()
