"""Load folders that were changed at random, thousands of them, and say what each came to.

    python tests/fuzz.py --cases 21000 --state .fuzz

A process of its own loads them under watch, warm for all of them; this one notices where it dies
or hangs. What was done is noted in the state's folder, so that a run that is interrupted goes on,
and one that is asked for more cases adds to them. Case i of a subject depends on the seed, the
subject and i alone: `--only SUBJECT --case I` loads that one again, with its traceback.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED = 20_260_301
PEAK, SECONDS = 50 * 2**20, 1.0
"""What a case may take: memory above what was in use before, and the processor's time."""
_CHUNK = 100
_PATIENCE, _START = 120.0, 1200.0


def shares(total: int, weights: dict[str, float]) -> dict[str, int]:
    """Return how many cases each subject gets, so that there are at least ``total``."""
    whole = sum(weights.values())
    return {name: -int(-total * weight / whole // 1) for name, weight in weights.items()}


# What loads them.


class Bench:
    """Sound folders, warm, that are changed and loaded under watch.

    Arguments:
        root: Where they lie.
        calls: What the stand-in for kernels is asked, in a list that it adds to.
    """

    def __init__(self, root: Path, calls: list[str]) -> None:
        import tempfile as temporary

        import fuzz_subjects
        from hostile_run import watch

        self.root, self.watch, self.calls = root, watch(), calls
        self.subjects = fuzz_subjects.subjects()
        scratch = root / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        temporary.tempdir = str(scratch)  # Where a library is given a folder of checked values.
        self._warm_errors()
        for i, (name, subject) in enumerate(self.subjects.items()):
            sound = self._sound(name)
            subject.save(sound)
            for j in range(2):  # What a first load imports, or compiles, is there afterwards.
                self.outcome(name, lambda folder, s=subject: s.load(folder))
                self.case(name, f"warm {i} {j}")

    def _warm_errors(self) -> None:
        """Have a model asked for that nobody knows, for the list of those that are known."""
        from folders import change_config, saved
        from genzoo import GenModel, GenzooError

        folder = saved(self.root / "unknown")
        change_config(folder, lambda found: found.update(model="no-such-model"))
        with contextlib.suppress(GenzooError):
            GenModel.from_pretrained(folder)

    def _sound(self, name: str) -> Path:
        return self.root / "sound" / name.replace(" ", "-").replace(",", "")

    def case(self, name: str, seed: str) -> dict[str, Any]:
        """Change a sound folder and load it; return what happened."""
        import fuzz_changes

        return self.outcome(
            name, self.subjects[name].load, lambda folder: fuzz_changes.change(folder, seed)
        )

    def outcome(
        self,
        name: str,
        load: Callable[[Path], object],
        change: Callable[[Path], object] = lambda folder: None,
    ) -> dict[str, Any]:
        """Load a changed copy of a subject's sound folder."""
        import fuzz_subjects
        from genzoo import LoadError
        from genzoo.errors import UnknownNameError

        folder = fuzz_subjects.copied(self._sound(name), self.root / "case" / "model")
        change(folder)
        self.calls.clear()
        with self.watch.of(folder, self.root / "scratch") as seen:
            try:
                load(folder)
                what = "loaded"
            except (LoadError, UnknownNameError):
                what = "refused"
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked for
                what = f"{type(error).__name__}: {error}"[:300]
        return {"outcome": what, **vars(seen), "events": [*seen.events, *self.calls]}


@dataclass
class Tally:
    """What cases came to.

    Arguments:
        cases: How many there were.
        refused: How many were refused.
        loaded: How many loaded.
        peak: The most memory that one took, in bytes.
        seconds: The most time of the processor that one took.
        bad: Those that did what none may.
    """

    cases: int = 0
    refused: int = 0
    loaded: int = 0
    peak: int = 0
    seconds: float = 0.0
    bad: list[dict[str, Any]] = field(default_factory=list)

    def add(self, seed: str, seen: dict[str, Any]) -> None:
        """Count a case."""
        self.cases += 1
        self.refused += seen["outcome"] == "refused"
        self.loaded += seen["outcome"] == "loaded"
        self.peak = max(self.peak, seen["peak"])
        self.seconds = max(self.seconds, seen["seconds"])
        foreign = seen["outcome"] not in ("refused", "loaded")
        if foreign or seen["events"] or seen["peak"] > PEAK or seen["seconds"] > SECONDS:
            self.bad.append({"seed": seed, **seen})

    def join(self, other: "Tally") -> None:
        """Count what another one counted."""
        self.cases += other.cases
        self.refused += other.refused
        self.loaded += other.loaded
        self.peak, self.seconds = max(self.peak, other.peak), max(self.seconds, other.seconds)
        self.bad += other.bad


def seed_of(seed: int, name: str, i: int) -> str:
    """Return what case i of a subject depends on."""
    return f"{seed} {name} {i}"


def run(root: Path, total: int, calls: list[str], seed: int = SEED) -> dict[str, Any]:
    """Run so many cases over all subjects, in this process; for the test suite."""
    bench, found = Bench(root, calls), Tally()
    weights = {name: subject.share for name, subject in bench.subjects.items()}
    for name, number in shares(total, weights).items():
        for i in range(number):
            found.add(seed_of(seed, name, i), bench.case(name, seed_of(seed, name, i)))
    return vars(found)


def work(root: Path) -> None:
    """Answer, line by line, what is asked for line by line: a subject and a seed."""
    import stand_in_kernels

    calls = stand_in_kernels.install()  # Before anything imports transformers.
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # To show one, Python opens the file that it comes from.
    bench = Bench(root, calls)
    print(json.dumps({name: s.share for name, s in bench.subjects.items()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(bench.case(asked["name"], asked["seed"])), flush=True)


# What asks for them.


class Worker:
    """A process that loads what it is asked to."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        command = [sys.executable, __file__, "--work", self._folder.name]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.weights = json.loads(self._line(_START) or "{}")
        if not self.weights:
            raise SystemExit("The process that loads folders did not start.")

    def case(self, name: str, seed: str) -> dict[str, Any] | None:
        """Return what a case came to; None where the process died of it, or hangs."""
        assert self.process.stdin is not None
        print(json.dumps({"name": name, "seed": seed}), file=self.process.stdin, flush=True)
        line = self._line(_PATIENCE)
        return json.loads(line) if line else None

    def _line(self, patience: float) -> str:
        """Return the next line that it writes; an empty one where there is none in time."""
        import threading

        assert self.process.stdout is not None
        timer = threading.Timer(patience, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()


def read_state(path: Path) -> dict[str, Tally]:
    """Return what was counted in earlier runs, by subject."""
    found: dict[str, Tally] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        values = json.loads(line)
        found.setdefault(values.pop("name"), Tally()).join(Tally(**values))
    return found


def chunks(done: dict[str, Tally], wanted: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """Yield parts of what is not done, of all subjects in turn: a name, a start and an end."""
    at = {name: done.get(name, Tally()).cases for name in wanted}
    while any(at[name] < number for name, number in wanted.items()):
        for name, number in wanted.items():
            if at[name] < number:
                end = min(number, at[name] + _CHUNK)
                yield name, at[name], end
                at[name] = end


def drive(state: Path, total: int, only: str, seed: int) -> dict[str, Tally]:
    """Run what is not done, and note it."""
    state.mkdir(parents=True, exist_ok=True)
    record, worker = state / f"{seed}.jsonl", Worker()
    done = read_state(record)
    wanted = {k: v for k, v in shares(total, worker.weights).items() if only in (k, "")}
    for name, start, end in chunks(done, wanted):
        tally = Tally()
        for i in range(start, end):
            key = seed_of(seed, name, i)
            seen = worker.case(name, key)
            if seen is None:
                seen = {"outcome": "died or hung", "events": [], "peak": 0, "seconds": 0.0}
                worker.close()
                worker = Worker()
            tally.add(key, seen)
        with record.open("a") as file:
            file.write(json.dumps({"name": name, **vars(tally)}) + "\n")
        done.setdefault(name, Tally()).join(tally)
        print(f"{name}: {done[name].cases} of {wanted[name]}", file=sys.stderr)
    worker.close()
    return done


def show(found: dict[str, Tally]) -> int:
    """Print what was found; return how many cases did what none may."""
    whole = Tally()
    print(
        f"{'subject':28} {'cases':>6} {'refused':>8} {'loaded':>7} {'MB':>6} {'s':>6} {'bad':>4}"
    )
    for name, one in [*found.items(), ("all", whole)]:
        row = f"{one.cases:6} {one.refused:8} {one.loaded:7} {one.peak / 2**20:6.1f}"
        print(f"{name:28} {row} {one.seconds:6.2f} {len(one.bad):4}")
        if one is not whole:
            whole.join(one)
    for case in whole.bad[:50]:
        print(json.dumps(case, indent=None)[:600])
    return len(whole.bad)


def again(name: str, i: int, seed: int) -> None:
    """Load one case once more, without a watch on its errors."""
    import fuzz_changes
    import fuzz_subjects

    subject = fuzz_subjects.subjects()[name]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "case", "model")
        subject.save(folder)
        fuzz_changes.change(folder, seed_of(seed, name, i))
        print(subject.load(folder))


def main() -> None:
    """Run the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=46_000, help="in all")
    parser.add_argument("--state", type=Path, default=Path(".fuzz"), help="where it is noted")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="one subject")
    parser.add_argument("--case", type=int, help="load this case of it again, and no other")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        work(given.work)
    elif given.case is not None:
        again(given.only, given.case, given.seed)
    else:
        sys.exit(bool(show(drive(given.state, given.cases, given.only, given.seed))))


if __name__ == "__main__":
    main()
