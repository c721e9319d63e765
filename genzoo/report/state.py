"""The state of a run for its report: what it does, why, and how long it still takes."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from genzoo.errors import LoadError
from genzoo.model_files import STATUS
from genzoo.progress import words
from genzoo.report.log import Log
from genzoo.report.reading import inside, read_text
from genzoo.report.run_summary import RunSummary
from genzoo.training.folder import is_locked
from genzoo.training.status import Status, read_status

_SPEED = "examples_per_second"
_LATEST = 10


@dataclass(frozen=True)
class RunState:
    """The state of a run.

    Arguments:
        title: The state in a word or two.
        tone: "good", "busy", "warn" or "bad", for its colour.
        reason: Why it was stopped or failed, and when; empty if there is nothing to say.
        left: About how long the stage still takes; empty if it is not running or not known.
    """

    title: str
    tone: str
    reason: str = ""
    left: str = ""


def read_state(folder: Path, facts: RunSummary, log: Log) -> RunState:
    """Return the state of a run from its folder."""
    status = read_status(read_text(folder, STATUS.name).text)
    if _is_training(folder):
        return RunState("Running", "busy", left=_left(facts, log))
    if status is not None and status.state == "failed":
        return RunState("Failed", "bad", _reason(status))
    if status is not None and status.state == "stopped":
        return RunState("Stopped", "warn", _reason(status))
    if status is not None and status.state == "running":
        return RunState(
            "Stopped",
            "warn",
            "It ended without a message: it was killed, or the machine was switched off.",
        )
    if facts.finished:
        return RunState("Finished" if facts.stages else "A model", "good")
    return RunState("Not finished", "warn")


def _reason(status: Status) -> str:
    return f"{status.reason} ({status.since})" if status.since else status.reason


def _is_training(folder: Path) -> bool:
    try:
        inside(folder, ".lock")
    except LoadError:
        return False
    return is_locked(folder)


def _left(facts: RunSummary, log: Log) -> str:
    """Return about how long the stage under way still takes, by the speed of its latest rows."""
    stage = facts.current
    if stage is None or stage.total is None or not stage.batch_size:
        return ""
    series = log.series.get((stage.number, _SPEED))
    values = series.values[-_LATEST:] if series else []
    latest = [value for value in values if math.isfinite(value) and value > 0]
    if not latest or stage.reached >= stage.total:
        return ""
    updates = stage.total - stage.reached
    seconds = updates * stage.batch_size / statistics.median(latest)
    more = " of this stage" if len(facts.stages) > 1 else ""
    return f"about {words(seconds)} left{more}"
