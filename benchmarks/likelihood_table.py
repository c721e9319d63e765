"""The log-likelihood of binarised Fashion-MNIST under every installed model, by one command.

Subjects are the models of the registry that have a probability of zeros and ones; a density enters
through uniform noise, as a lower bound. Each trains with its own defaults for ten CPU minutes of
one core, from the seed 0, and the five best from two further seeds; the recipes are in
benchmarks/recipes/likelihood-table. The data are one draw of each pixel from its grey level, as by
``--data.binarize static``, for training and test rows alike; 2,000 test rows, the same for every
model, are evaluated as by ``genzoo evaluate``. Independent pixels and mixtures of them are
references. A mean −log p below the entropy of the draw is an error, see likelihood/judging.py.

A row is stored for each model and seed, and training continues from its checkpoints, so the
command can be stopped and given again. Models that fail are tried again by the next one.

Usage: python benchmarks/likelihood_table.py [--only NAME...] [--minutes 10] [--rows 2000]
    [--seeds 3] [--best 5] [--data fashion-mnist] [--output FOLDER] [--print]
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from likelihood.baselines import BASELINES, baseline
from likelihood.judging import above_noise, judged
from likelihood.results import Result, Store, by_name, table
from likelihood.rows import Data, evaluated
from likelihood.subjects import subject_of
from likelihood.training import recipe_for, trained
from timing import circumstances, say

import genzoo
from genzoo import registry
from genzoo.errors import TrainingInterrupted
from genzoo.estimate import Estimate
from genzoo.log_prob import LogProb

DATA, MINUTES, ROWS = "fashion-mnist", 10.0, 2000
logger = logging.getLogger("genzoo")
RECIPES = Path(__file__).parent / "recipes" / "likelihood-table"


@dataclass(frozen=True)
class Table:
    """What is measured.

    Arguments:
        data: The data.
        minutes: The CPU minutes of training of each model.
        output: The folder of results and trained models.
        recipes: The folder of recipes.
        store: The stored results.
    """

    data: Data
    minutes: float
    output: Path
    recipes: Path
    store: Store

    def measure(self, name: str, seed: int) -> Result:
        """Return the result of a model, or of a baseline, with one seed."""
        if name in BASELINES:
            return self._baseline(name)
        subject = subject_of(name, self.data.test)
        if isinstance(subject, str):
            return Result(name, reason=subject)
        recipe = recipe_for(subject, self.data, self.minutes, self.recipes)
        model, training = trained(recipe, subject, seed, self.output / "runs" / f"{name}-{seed}")
        began = time.process_time()
        log_p = judged(model, subject, self.data.test, self.data.num_rows)
        return Result(
            name,
            seed,
            log_p,
            above_noise=self._above_noise(name, log_p),
            num_parameters=sum(p.numel() for p in model.parameters()),
            updates=tuple(stage.trainer["max_steps"] for stage in recipe.stages),
            training=training,
            evaluation=time.process_time() - began,
        )

    def _baseline(self, name: str) -> Result:
        began = time.process_time()
        train = genzoo.load_dataset(self.data.name, "train", **self.data.values)
        log_p = baseline(name, train, evaluated(self.data.test, self.data.num_rows))
        seconds = time.process_time() - began
        return Result(
            name, log_p=log_p, above_noise=self._above_noise(name, log_p), training=seconds
        )

    def _above_noise(self, name: str, log_p: LogProb) -> tuple[float, float] | None:
        entropy = self.data.noise_entropy()
        if entropy is None or log_p.kind == "upper bound":
            return None
        gap = above_noise(name, log_p, entropy)
        return gap.value, gap.std_error


def jobs(names: list[str], seeds: int, best: int, store: Store) -> Iterator[tuple[str, int]]:
    """Yield every name with the seed 0, then the best models with further seeds.

    Arguments:
        names: The models and baselines.
        seeds: The number of seeds of the best models.
        best: The number of the best models.
        store: The results so far, read again when those of the seed 0 are there.
    """
    for name in names:
        yield name, 0
    first = by_name(result for result in store.all() if result.seed == 0)
    models = [name for name in first if name in names and name not in BASELINES][:best]
    for seed in range(1, seeds):
        for name in models:
            yield name, seed


def line(result: Result) -> str:
    """Return a result in one line."""
    if result.log_p is None:
        return f"{result.name}: {result.reason}"
    figure: Estimate = result.log_p.mean()
    return (
        f"{result.name}, seed {result.seed}: {figure.short()}, {result.training:.0f} CPU-s of "
        f"training, {result.evaluation:.0f} of evaluation"
    )


def run(given: argparse.Namespace, measured: Table) -> dict[str, str]:
    """Measure what is not stored yet, and return the errors by name."""
    known = [*BASELINES, *registry.names("models")]
    names = [name for name in known if not given.only or name in given.only]
    if unknown := sorted({*(given.only or [])} - {*known}):
        sys.exit(f"Unknown: {', '.join(unknown)}. Choose from {', '.join(known)}.")
    failed: dict[str, str] = {}
    for name, seed in jobs(names, given.seeds, given.best, measured.store):
        if measured.store.has(name, seed) or name in failed:
            continue
        try:
            result = measured.measure(name, seed)
        except TrainingInterrupted:
            raise
        except Exception as error:  # One broken model must not cost the others their rows.
            failed[name] = f"{type(error).__name__}: {error}"
            logger.exception("%s, seed %d", name, seed)
            continue
        measured.store.add(result)
        say(line(result))
    return failed


def parsed() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="models and baselines; all")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="CPU minutes of training")
    parser.add_argument("--rows", type=int, default=ROWS, help="test rows that are evaluated")
    parser.add_argument("--seeds", type=int, default=3, help="of the best models")
    parser.add_argument("--best", type=int, default=5, help="models with several seeds")
    parser.add_argument("--data", default=DATA, help="a name, or a path such as runs/x.npz")
    parser.add_argument("--binarize-seed", type=int, default=0, help="of the draw of the pixels")
    parser.add_argument("--output", type=Path, default=Path("runs/likelihood-table"))
    parser.add_argument(
        "--recipes",
        type=Path,
        help="their folder; that of the repository for "
        "the default data and minutes, else one in the output folder",
    )
    parser.add_argument("--print", action="store_true", help="print the stored results only")
    return parser.parse_args()


def main() -> None:
    """Measure, and print the table."""
    given = parsed()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    usual = (given.data, given.minutes) == (DATA, MINUTES)
    recipes = given.recipes or (RECIPES if usual else given.output / "recipes")
    keys = ("data", "binarize_seed", "rows", "minutes")
    store = Store(given.output, {key: getattr(given, key) for key in keys})
    data = Data.load(given.data, given.binarize_seed, given.rows)
    measured = Table(data, given.minutes, given.output, recipes, store)
    failed = {} if given.print else run(given, measured)
    say("", circumstances(1), *protocol(data, given.minutes), "", table(store.all(), failed))
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")


def protocol(data: Data, minutes: float) -> Iterator[str]:
    """Yield what the figures depend on."""
    yield f"{data.num_rows:,} rows of {data.test.name}, {minutes:g} CPU minutes of training"
    entropy = data.noise_entropy()
    if entropy is not None:
        yield f"entropy of the noise of these rows: {entropy.mean().item():.2f} nats"


if __name__ == "__main__":
    main()
