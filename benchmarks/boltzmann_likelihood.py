"""The test log-likelihood of a Boltzmann machine or a deep belief net, with published protocols.

Trains a recipe, or goes on with it, and judges the model on the 10,000 test images of the fixed
binarisation: log Z by annealed importance sampling and by its reverse, 100 chains each, the 14,500
temperatures of Salakhutdinov and Murray (2008). Half of the reverse chains start at annealed
states, half at validation images, and make so many sweeps first that they forget them. The forward
estimate makes the likelihood too good on average, the reverse ones too bad: the truth is thought
to lie between. Of a model with more hidden layers it is the variational bound. A deep belief net
is annealed at its top machine, from codes of validation images, and its first machine, as it was
at the end of the first stage, is judged before it on the same rows.

Usage: python benchmarks/boltzmann_likelihood.py RECIPE.toml --output DIR [--seeds 3]
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import resource
import time
from pathlib import Path
from typing import Any

import torch
from binarized_mnist import prepare
from safetensors.torch import load_file
from timing import circumstances, say

import genzoo
import genzoo.plugin
from genzoo.files import write_text
from genzoo.recipes import make_trainer
from genzoo_boltzmann.dbn import DBN
from genzoo_boltzmann.partition import ais, published_betas, reverse_halves, with_interval

CHAINS = 100
DRAWS = 5  # Of the hidden layers for each row, where the likelihood is a bound.


def trained(recipe: genzoo.Recipe, folder: Path) -> genzoo.plugin.GenerativeModel:
    """Return the recipe's model, from the folder where its training has ended."""
    if (folder / "config.json").exists():
        return genzoo.GenModel.from_pretrained(folder)
    resume = (folder / "recipe.toml").exists()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    model = make_trainer(recipe, folder).fit(resume=resume)
    seconds = {"wall": time.perf_counter() - wall, "cpu": _cpu_seconds() - cpu}
    how = "since it was resumed" if resume else "in all"
    write_text(folder / "seconds.json", json.dumps({"counted": how, **seconds}))
    return model


def annealed(
    model: Any, rows: torch.Tensor, generator: torch.Generator
) -> tuple[Any, torch.Tensor]:
    """Return the machine whose log Z is estimated, and states of data that chains start at."""
    if not isinstance(model, DBN):
        return model, rows
    return model.top, model.draw_up(rows.flatten(1), generator)[-1]


def first_machine(model: Any, recipe: genzoo.Recipe, folder: Path) -> Any:
    """Return a belief net's first machine as its stage left it, from the checkpoint; else None."""
    if not isinstance(model, DBN):
        return None
    step = recipe.stages[0].trainer["max_steps"]
    path = folder / "checkpoints" / f"stage-000-step-{step:09d}" / "model.safetensors"
    then = copy.deepcopy(model)
    then.load_state_dict(load_file(path))
    return then.machines[0]


@torch.no_grad()
def judged(
    model: genzoo.plugin.GenerativeModel,
    rows: dict[str, torch.Tensor],
    seed: int,
    burn_in: int,
    thin: int,
) -> dict[str, Any]:
    """Return the figures of one seed, with one of every ``thin`` temperatures."""
    generator = torch.Generator().manual_seed(seed)
    machine, starts = annealed(model, rows["valid"], generator)
    how = {"generator": generator, "num_chains": CHAINS, "betas": published_betas()[::thin]}
    forward = ais(machine, **how)
    halves = reverse_halves(machine, starts, num_burn_in=burn_in, **how)
    backward, from_rows = halves
    log_z = with_interval(forward, *halves).estimate
    options = {"log_partition": forward, "generator": generator, "num_samples": DRAWS}
    energy = {name: model.log_prob(x, **options).mean().value for name, x in rows.items()}
    return {
        "seed": seed,
        "log Z": forward.estimate.value,
        "reverse log Z": backward.estimate.value,
        "log Z from rows": from_rows.estimate.value,
        "low log Z": log_z.interval[0],
        "high log Z": log_z.interval[1],
        "effective samples": forward.effective_sample_size,
        "reverse effective samples": backward.effective_sample_size,
        "effective samples from rows": from_rows.effective_sample_size,
        "unreliable": [note.code for note in log_z.notes if note.unreliable],
        **energy,
    }


def main() -> None:
    """Train, judge, print, and write figures.json into the run's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--burn-in", type=int, default=20_000)
    parser.add_argument("--thin", type=int, default=1, help="a divisor of 14,500")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prepare()
    recipe = genzoo.Recipe.read(given.recipe)
    threads = recipe.trainer.threads if isinstance(recipe.trainer.threads, int) else 1
    torch.set_num_threads(threads)
    model = trained(recipe, given.output)
    rows = {
        split: genzoo.load_dataset(recipe.data.name, split).head(10_000)["x"]
        for split in ("train", "valid", "test")
    }
    say(circumstances(threads), f"{given.recipe.name}: {_seconds(given.output)}")
    first = first_machine(model, recipe, given.output)
    if first is not None:
        say(
            "  the first machine:\n" + _line(judged(first, rows, 0, given.burn_in, given.thin)),
            "  the net:",
        )
    figures = []
    for seed in range(given.seeds):
        figures.append(judged(model, rows, seed, given.burn_in, given.thin))
        say(_line(figures[-1]))
    write_text(given.output / "figures.json", json.dumps(figures, indent=2) + "\n")


def _line(row: dict[str, Any]) -> str:
    backward, from_rows = (
        row["test"] + row["log Z"] - row[name] for name in ("reverse log Z", "log Z from rows")
    )
    return (
        f"  seed {row['seed']}: test {row['test']:.2f} by AIS (effective samples "
        f"{row['effective samples']:.0f}), {backward:.2f} by reverse AIS "
        f"({row['reverse effective samples']:.0f}), {from_rows:.2f} by reverse AIS from rows "
        f"({row['effective samples from rows']:.0f}); log Z {row['log Z']:.2f}, "
        f"{row['reverse log Z']:.2f} and {row['log Z from rows']:.2f}, with 3 σ of each "
        f"{row['low log Z']:.2f} to {row['high log Z']:.2f}; valid {row['valid']:.2f}, train "
        f"{row['train']:.2f}; flagged by {row['unreliable'] or 'nothing'}"
    )


def _seconds(folder: Path) -> str:
    path = folder / "seconds.json"
    if not path.exists():
        return "trained elsewhere"
    found = json.loads(path.read_text("utf-8"))
    return f"{found['wall']:.0f} s of training ({found['cpu']:.0f} CPU-s, {found['counted']})"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
