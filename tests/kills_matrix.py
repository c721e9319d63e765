"""The disturbances of two processes, drawn at random, and what came of them."""

import functools
import random
import shutil
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import kills_pair_runs as runs
import kills_pairs as pairs
from kills_pair_runs import Plan
from kills_pairs import KINDS, LIMIT, SEED, Pair

Row = dict[str, Any]
ReferenceOf = Callable[[str], pairs.Reference]
_LAUNCHED = 9
"""Of this many runs, one is under torchrun."""
_MOVES = {"game": 3, "chains": 1, "sharded": 3}
_MAIN = ("evaluation", "saving", "publishing")
"""Only the main process comes there."""
_MOMENTS = {
    "SIGKILL": (
        *("saving", "start", "forward", "anytime", "gather", "update", "evaluation"),
        *("anytime", "states", "publishing"),
    ),
    "SIGTERM": (
        *("forward", "start", "saving", "anytime", "gather", "evaluation", "update"),
        *("anytime", "states", "saving"),
    ),
    "slow": ("saving", "saving", "gather", "states", "saving", "saving", "update", "evaluation"),
}


class Record(Protocol):
    """What was done: `kills.Record`."""

    rows: list[Row]

    def note(self, row: Row) -> None:
        """Add a line."""

    def of(self, kind: str) -> list[Row]:
        """Return the lines of one kind."""


def disturb_pairs(scratch: Path, number: int, record: Record, say: Callable[..., None]) -> None:
    """Disturb pairs until so many of each kind were not too late to change anything."""
    if min(_done(record, kind) for kind in KINDS) >= number:
        return
    runs.warm_up(scratch)
    reference_of = functools.cache(lambda run: pairs.reference_of(run, scratch))
    for kind in KINDS:
        while (done := _done(record, kind)) < number:
            i = len(record.of(_named(kind)))
            row = _disturb(kind, i, scratch, reference_of)
            record.note({"kind": _named(kind), "i": i, **row})
            say(f"{done + 1} of {number} pairs, {kind}", (done + 1) % 5 == 0)


def _done(record: Record, kind: str) -> int:
    return sum(not row["late"] for row in record.of(_named(kind)))


def _named(kind: str) -> str:
    return f"pair {kind}"


def _disturb(kind: str, i: int, scratch: Path, reference_of: ReferenceOf) -> Row:
    chance = random.Random(f"{SEED} {kind} {i}")
    root = Path(tempfile.mkdtemp(prefix="pair-", dir=scratch))
    run, moment = list(runs.RUNS)[i % 3], "forward"
    if kind in _MOMENTS:
        moment = _MOMENTS[kind][i % len(_MOMENTS[kind])]
    if moment == "gather":
        run = "sharded"
    delay = _delay(kind, moment, i, chance)
    plan = _plan(run, root, moment, chance)
    if kind == "NaN":
        plan = _spoiled(plan, chance, i)
    if kind == "slow" and not delay:
        plan = pairs.replace(plan, limit=LIMIT)
    pair = Pair(plan, launched=i % _LAUNCHED == 3)
    victim = chance.randrange(runs.NUM)
    outcome = pairs.disturb(kind, pair, reference_of(run), victim, delay)
    if not outcome.faults:
        shutil.rmtree(root)
    return {
        "run": run,
        "moment": moment,
        "nth": plan.nth,
        "stops": plan.rank,
        "victim": victim,
        "launched": pair.launched,
        "limit": plan.limit,
        "fault": plan.fault,
        **vars(outcome),
    }


def _delay(kind: str, moment: str, i: int, chance: random.Random) -> float:
    """Return the seconds from the moment to the disturbance; 0 for none, or for the limit's."""
    if kind == "slow":
        return chance.uniform(0.1, 0.5) if i % 2 else 0.0
    return chance.uniform(0.001, 1.0) if moment == "anytime" else 0.0


def _plan(run: str, root: Path, moment: str, chance: random.Random) -> Plan:
    moves, saves = _MOVES[run] * (runs.STEPS - 2), runs.STEPS // 3
    most = {"forward": moves, "update": moves, "evaluation": 2, "states": saves - 1}
    most |= {"gather": 60, "saving": 2 * (saves - 1), "publishing": 1}
    nth = chance.randint(1, most.get(moment, 1))
    rank = 0 if moment in _MAIN else chance.randrange(runs.NUM)
    name = "start" if moment == "anytime" else moment
    return Plan(run, str(root), moment=name, rank=rank, nth=nth)


def _spoiled(plan: Plan, chance: random.Random, i: int) -> Plan:
    """Let a move be not finite: each update asks for a move once more, to hear that it is over."""
    moves, update = _MOVES[plan.run], chance.randrange(runs.STEPS)
    update = update if i else runs.STEPS // 2  # The first time there is a checkpoint to name.
    nth = update * (moves + 1) + chance.randrange(moves) + 1
    return pairs.replace(plan, nth=nth, fault="gradient" if i % 2 else "loss")


def show_pairs(record: Record) -> None:
    """Print what was counted."""
    for kind in KINDS:
        found = record.of(_named(kind))
        if not (rows := [row for row in found if not row["late"]]):
            continue
        # Those that are waited for in time come to their end.
        ended = [row for row in rows if kind != "slow" or row["limit"] == LIMIT]
        seconds = sorted(row["seconds"] for row in ended)
        moments = Counter(row["moment"] for row in rows).most_common()
        print(
            f"two processes, {kind}: {len(rows)} ({sum(row['launched'] for row in rows)} under "
            f"torchrun, {sum(row['run'] == 'sharded' for row in rows)} sharded, "
            f"{len(found) - len(rows)} more too late); {len(ended)} ended early, "
            f"{statistics.median(seconds):.2f} s after it in the median, {seconds[-1]:.2f} s at "
            f"most; good and resumed bit-equal: {sum(not row['faults'] for row in rows)}; "
            + ", ".join(f"{number} {name}" for name, number in moments)
        )
