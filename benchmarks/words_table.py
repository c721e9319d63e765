"""Words by four families: bits per character, and what 2,000 samples of each are.

Bits per character divide by the letters and one end mark for each word; padding after the end
costs nothing. The likelihood of the transformer is exact, those of the diffusion and the VAE are
bounds, and a GAN has none. Samples are counted as words of the full list and as words of the
training part; the perplexity of the others is that of a trigram model of the training words.

Usage: python benchmarks/words_table.py [--models transformer diffusion discrete-vae gan]
    [--output runs/words] [--num 2000] [--seed 0]
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, say
from word_statistics import Trigrams, shares

import genzoo
from genzoo.data import Dataset
from genzoo.recipes import train

RECIPES = Path(__file__).parent / "recipes"
MODELS = ("transformer", "diffusion", "discrete-vae", "gan")
DRAWS = {"diffusion": 24, "discrete-vae": 500}
"""Draws of the bounds for each word."""


def rows(data: Dataset) -> torch.Tensor:
    """Return all rows of a split."""
    return data.batch(torch.arange(len(data)))["x"]


def trained(name: str, folder: Path, seed: int) -> Any:
    """Return the model of a recipe with a seed, which is trained if it is not there."""
    if not (folder / "model.safetensors").is_file():
        recipe = genzoo.Recipe.read(RECIPES / f"words-{name}.toml")
        train(replace(recipe, trainer=replace(recipe.trainer, seed=seed)), folder)
    return genzoo.GenModel.from_pretrained(folder)


def bits(model: Any, x: torch.Tensor, num: int | None, seed: int) -> str:
    """Return bits per character, with the standard error over words."""
    if model.log_prob_kind is None:
        return "none"
    padding = model.event.padding
    characters = (x != padding).sum(1).double() + 1
    drawn = {} if num is None else {"num_samples": num}
    with torch.no_grad():
        log_p = model.log_prob(x, generator=torch.Generator().manual_seed(seed), **drawn)
    cost = -log_p.values.double() / math.log(2)
    value = cost.sum() / characters.sum()
    # Of a ratio of means.
    error = (cost - value * characters).std() / math.sqrt(len(x)) / characters.mean()
    kind = "=" if log_p.kind == "exact" else "≤"
    return f"{kind} {value:.3f} ± {error:.3f}"


def described(samples: list[str], words: dict[str, list[str]], trigrams: Trigrams) -> str:
    """Return the shares of words, the perplexity of what is not a training word, and lengths."""
    full = [word for split in words.values() for word in split]
    found = shares(samples, full, words["train"])
    perplexity = trigrams.perplexity([word for word in found.new if word])
    return (
        f"{100 * found.words:.1f} % words of the full list, {100 * found.training:.1f} % of the "
        f"training part; perplexity of the others {perplexity:.2f}; {modes(samples)}"
    )


def modes(samples: list[str]) -> str:
    """Return the mean length, and the shares of long words and of words in -ing."""
    length = sum(map(len, samples)) / len(samples)
    long = sum(len(sample) >= 10 for sample in samples) / len(samples)
    ending = sum(sample.endswith("ing") for sample in samples) / len(samples)
    return (
        f"mean length {length:.1f}, {100 * long:.1f} % of ten letters and more, "
        f"{100 * ending:.1f} % in -ing"
    )


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--output", type=Path, default=Path("runs/words"))
    parser.add_argument("--num", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0, help="of training, samples and bounds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    splits = {name: genzoo.load_dataset("words", name) for name in ("train", "valid", "test")}
    event = splits["train"].info["x"]
    x = {name: rows(data) for name, data in splits.items()}
    words = {name: event.lines(each) for name, each in x.items()}
    trigrams = Trigrams.fitted(words["train"])
    say(circumstances(1), f"{len(words['test']):,} test words, {given.num:,} samples of each")
    say(f"test words: {described(words['test'], words, trigrams)}")
    for name in given.models:
        model = trained(name, given.output / name, given.seed)
        drawn = event.lines(model.sample(given.num, seed=given.seed))
        size = sum(p.numel() for p in model.parameters())
        cost = bits(model, x["test"], DRAWS.get(name), given.seed)
        say(f"{name} ({size:,} parameters): {cost} bits per character; ")
        say(f"  {described(drawn, words, trigrams)}", f"  {', '.join(drawn[:12])}")


if __name__ == "__main__":
    main()
