"""Kill processes while they save, and signal runs at random moments; say what was left each time.

    python tests/kills.py --saves 1000 --signals 50 --pairs 20 --state .kills

This process has everything imported, and forks the ones that it kills. What was done is noted in
the state's folder, so that a run that is interrupted goes on, and one that is asked for more adds
to it. A kill that comes between two saves is counted apart, and is not one of those asked for; nor
is a signal that comes after the last update. `kills_matrix.py` has the disturbances of two
processes that train together.
"""

import argparse
import contextlib
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # A pool of threads does not survive a fork.

import torch

import kills_matrix
import kills_runs as runs
from genzoo.training import checkpoint

SEED = 20_261_129
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}
_PATIENCE = 60.0
_NAMES = {
    runs.TRAINING: "between saves",
    runs.CHECKPOINT: "in a checkpoint",
    runs.MODEL: "in a model",
}
Row = dict[str, object]
Note = Callable[[Row], None]


class Record:
    """What was done, one line for each kill or signal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: list[Row] = [json.loads(line) for line in lines]

    def note(self, row: Row) -> None:
        """Add a line."""
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def of(self, kind: str) -> list[Row]:
        """Return the lines of one kind."""
        return [row for row in self.rows if row["kind"] == kind]


def wait(seconds: float) -> None:
    """Wait, without an alarm, which another thread may get."""
    select.select([], [], [], max(seconds, 1e-5))


def end(child: int) -> int:
    """Return the exit code of a process once it ends; of one that hangs, −9."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        wait(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -signal.SIGKILL


# Saves.


def kill_saves(scratch: Path, number: int, record: Record) -> None:
    """Kill until so many kills have come within a save."""
    done = record.of("save")
    landed = sum(row["phase"] != runs.TRAINING for row in done)
    if landed >= number:
        return
    spans = {name: _Span(name, make, scratch) for name, make in runs.RUNS.items()}
    i = len(done)
    while landed < number:
        span = spans[sorted(spans)[i % len(spans)]]
        row = span.kill(random.Random(f"{SEED} save {i}"))
        if row is not None:
            record.note({"kind": "save", "i": i, **row})
            landed += row["phase"] != runs.TRAINING
            i += 1
            _show(f"{landed} of {number} kills within a save", landed % 50 == 0)


class _Span:
    """A run that is killed again and again, and begun anew where it has come to its end."""

    def __init__(self, name: str, make: runs.Make, scratch: Path) -> None:
        self.name, self.make, self.scratch = name, make, scratch
        self.board, self.cycle = runs.Board(), 0.02
        self.reference = runs.reference_of(make)
        self._anew()

    def _anew(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=self.scratch)) / "run"
        self.left = runs.Left(folder, self.reference)

    def kill(self, chance: random.Random) -> Row | None:
        """Go on with the run and kill it; None where it came to its end first."""
        left, board = self.left, self.board
        board.clear()
        errors = self.scratch / "errors.txt"
        child = runs.started(
            lambda ready: runs.save_often(self.make, left.folder, board, ready), errors
        )
        _until(lambda: board["phase"] != runs.TRAINING, child)  # It is about to save for once.
        began, first = time.monotonic(), board["saving"]
        wait(chance.uniform(0, 4 * self.cycle))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        code = end(child)
        steps, spent = board["saved"] - first, time.monotonic() - began
        if steps > 1:
            self.cycle = 0.9 * self.cycle + 0.1 * spent / steps
        return self._judged(code, errors)

    def _judged(self, code: int, errors: Path) -> Row | None:
        left, board = self.left, self.board
        if code == 0:
            whole = (left.folder / "config.json").exists()
            shutil.rmtree(left.folder.parent)
            self._anew()
            faults = [] if whole else ["a run that came to its end has published nothing"]
            return {"phase": board["phase"], "faults": faults, "passed": 0} if faults else None
        passed = left.passed
        faults = left.check(board)
        if code != -signal.SIGKILL:
            faults.append(f"it ended by itself: {errors.read_text()[-600:]}")
        if faults:
            self._anew()
        return {"phase": board["phase"], "faults": faults, "passed": left.passed - passed}


def _until(holds: Callable[[], bool], child: int) -> None:
    """Wait until something holds, or the process has ended."""
    while not holds() and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        wait(0.0005)


# Signals.


def send_signals(scratch: Path, number: int, record: Record) -> None:
    """Stop so many runs by each kind of signal, sent twice to every other run."""
    left = {name: number - sum(row["code"] != 0 for row in record.of(name)) for name in SIGNALS}
    if max(left.values()) <= 0:
        return
    spans = {name: _duration(make, scratch) for name, make in runs.RUNS.items()}
    for name, signum in SIGNALS.items():
        while left[name] > 0:
            i = len(record.of(name))
            run = sorted(runs.RUNS)[i // 2 % len(runs.RUNS)]
            chance = random.Random(f"{SEED} {name} {i}")
            row = _signal(runs.RUNS[run], scratch, spans[run], signum, i, chance)
            record.note({"kind": name, "i": i, **row})
            left[name] -= row["code"] != 0
            _show(f"{number - left[name]} of {number} {name}", left[name] % 10 == 0)


def _duration(make: runs.Make, scratch: Path) -> float:
    """Return how long a run takes from the start of `Trainer.fit`, undisturbed."""
    took, errors = [], scratch / "errors.txt"
    for _ in range(3):
        with _folder(scratch) as folder:
            child = runs.started(lambda r, f=folder: runs.as_a_command(make, f, r), errors)
            began = time.monotonic()
            if end(child):
                raise SystemExit(errors.read_text())
            took.append(time.monotonic() - began)
    return min(took)


def _signal(
    make: runs.Make,
    scratch: Path,
    span: float,
    signum: int,
    i: int,
    chance: random.Random,
) -> Row:
    """Signal a run once or twice in a row, and go on with what it has left."""
    twice, errors, at = i % 2 == 1, scratch / "errors.txt", chance.uniform(0, span)
    with _folder(scratch) as folder:
        child = runs.started(lambda ready: runs.as_a_command(make, folder, ready), errors)
        wait(at)
        for _ in range(1 + twice):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signum)
            wait(chance.uniform(0, 0.003) if twice else 0)
        code = end(child)
        there = len(checkpoint.list_checkpoints(folder / "checkpoints"))
        faults = runs.check_signalled(make, folder, code, signum, twice)
        said = errors.read_text()
        if "Traceback" in said:
            faults.append(f"it ended with a traceback: {said[-600:]}")
    return {"faults": faults, "code": code, "twice": twice, "checkpoints": there}


@contextlib.contextmanager
def _folder(scratch: Path) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="signal-", dir=scratch))
    try:
        yield root / "run"
    finally:
        shutil.rmtree(root)


# What came of it.


def show(record: Record) -> int:
    """Print what was counted; return how many left something wrong."""
    saves = record.of("save")
    phases = Counter(row["phase"] for row in saves)
    within = sum(number for phase, number in phases.items() if phase != runs.TRAINING)
    parts = ", ".join(f"{phases[phase]} {name}" for phase, name in _NAMES.items())
    passed = sum(row["passed"] for row in saves)
    print(f"SIGKILL while saving: {within} ({parts}); {passed} incomplete checkpoints passed over")
    for name in SIGNALS:
        found = record.of(name)
        late = sum(row["code"] == 0 for row in found)
        codes = Counter(row["code"] for row in found if row["code"])
        ends = ", ".join(f"{number} with {code}" for code, number in sorted(codes.items()))
        twice = sum(row["twice"] for row in found if row["code"])
        there = sum(row["checkpoints"] > 0 for row in found if row["code"])
        print(
            f"{name}: {len(found) - late} ({twice} twice in a row, {late} more after the last "
            f"update); ended {ends}; {there} left a checkpoint"
        )
    kills_matrix.show_pairs(record)
    bad = [row for row in record.rows if row["faults"]]
    print(f"{len(bad)} left something wrong")
    for row in bad[:20]:
        print(json.dumps(row)[:900])
    return len(bad)


def _show(text: str, due: bool) -> None:
    if due:
        print(text, file=sys.stderr)


def _in_place(made: checkpoint.Checkpoint, root: Path, *, keep: int) -> Path:
    """The control: removes what there is, then writes the new one in its place."""
    for path in checkpoint.list_checkpoints(root):
        shutil.rmtree(path)
    final = checkpoint.path_of(made.stage, made.step, root)
    final.mkdir(parents=True)
    checkpoint._write(made, final)
    return final


def control(scratch: Path, most: int) -> bool:
    """Whether a kill shows that saving in place is wrong; where none does, they show nothing."""
    record, original = Record(scratch / "control.jsonl"), checkpoint.save
    checkpoint.save, bad = _in_place, 0
    try:
        while not bad and len(record.rows) < most:
            kill_saves(scratch, len(record.rows) + 1, record)
            bad = sum(bool(row["faults"]) for row in record.rows)
    finally:
        checkpoint.save = original
    print(
        f"control, saved in place: wrong after {len(record.rows)} kills" if bad else "no control"
    )
    return bad > 0


def main() -> None:
    """Do what is not done yet, and say what came of all of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--saves", type=int, default=1000, help="SIGKILLs within a save")
    parser.add_argument("--signals", type=int, default=50, help="of SIGTERM, and of SIGINT")
    parser.add_argument("--pairs", type=int, default=20, help="of each kind, of two processes")
    parser.add_argument("--state", type=Path, default=Path(".kills"), help="where it is noted")
    parser.add_argument("--control", type=int, default=60, help="kills of saves in place, at most")
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = Record(given.state / "kills.jsonl")
    with tempfile.TemporaryDirectory(dir=given.state, prefix="scratch-") as scratch:
        kills_matrix.disturb_pairs(Path(scratch), given.pairs, record, _show)
        kill_saves(Path(scratch), given.saves, record)
        send_signals(Path(scratch), given.signals, record)
        bad = show(record)
        controlled = not given.control or control(Path(scratch), given.control)
        sys.exit(bool(bad) or not controlled)


if __name__ == "__main__":
    main()
