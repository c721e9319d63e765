"""The content of a report, collected from a folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from genzoo.errors import DataError
from genzoo.model_files import CONFIG, METRICS, RECIPE
from genzoo.report.averages import AverageCurves, read_averages
from genzoo.report.curves import number
from genzoo.report.evaluations import StoredEvaluation, read_evaluations
from genzoo.report.log import Log, read_log
from genzoo.report.pictures import Timeline, read_timeline
from genzoo.report.reading import changed_at
from genzoo.report.run_summary import RunSummary, read_run_summary
from genzoo.report.stage_curves import StageCurves, read_curves
from genzoo.report.state import RunState, read_state
from genzoo.training.environment import machine
from genzoo.training.meanings import EVAL

_RUN = (RECIPE.name, METRICS.name, CONFIG.name)


@dataclass(frozen=True)
class Report:
    """The content of the page.

    Arguments:
        folder: The folder as given, quoted for a shell.
        name: The folder's name.
        facts: The summary of the run.
        state: What it does, why, and how long it still takes.
        losses: The last loss of each player, with its step.
        curves: The curves of each stage.
        log_notes: Notes on what was left out of them.
        logged: The time of the last write to metrics.jsonl.
        timeline: The samples.
        evaluations: The evaluations.
        evaluation_notes: Notes on what was left out of them.
        averages: The figures of averages of other lengths, against the length.
        average_notes: Notes on what was left out of them.
        machine: The environment of the report.
        written: The time of the report.
    """

    folder: str
    name: str
    facts: RunSummary
    state: RunState
    losses: Mapping[str, tuple[str, str]]
    curves: Sequence[StageCurves]
    log_notes: Sequence[str]
    logged: str
    timeline: Timeline
    evaluations: Sequence[StoredEvaluation]
    evaluation_notes: Sequence[str]
    averages: Sequence[AverageCurves]
    average_notes: Sequence[str]
    machine: Mapping[str, str]
    written: str


def read_report(folder: Path, named: Sequence[Path]) -> Report:
    """Collect the content of a folder, with further files of evaluations.

    Raises:
        DataError: There is no run in it, or a named evaluation cannot be read.
    """
    _check(folder)
    log = read_log(folder)
    facts = read_run_summary(folder, log)
    evaluations, evaluation_notes = read_evaluations(folder, named)
    averages, average_notes = read_averages(folder)
    return Report(
        folder=shlex.quote(os.fspath(folder)),
        name=folder.resolve().name,
        facts=facts,
        state=read_state(folder, facts, log),
        losses=_losses(log),
        curves=read_curves(folder, log, facts),
        log_notes=log.notes,
        logged=changed_at(folder / METRICS.name) if log.last else "",
        timeline=read_timeline(folder),
        evaluations=evaluations,
        evaluation_notes=evaluation_notes,
        averages=averages,
        average_notes=average_notes,
        machine=machine("torch", "numpy", "matplotlib"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _check(folder: Path) -> None:
    if not folder.is_dir():
        raise DataError(
            f"There is no folder {str(folder)!r}. Give the folder of genzoo train --output."
        )
    if not any((folder / name).exists() for name in _RUN):
        raise DataError(
            f"{str(folder)!r} has no run: none of {', '.join(_RUN)}. Give the folder that "
            "genzoo train --output named."
        )


def _losses(log: Log) -> dict[str, tuple[str, str]]:
    """Return the last loss of each player of the last stage, and its step."""
    last = max(log.last, default=0)
    series = [s for (stage, _), s in log.series.items() if stage == last and s.name == "loss"]
    names = {one.player: "held-out" if f"{one.player}/" == EVAL else one.player for one in series}
    if len(series) == 1:
        names = dict.fromkeys(names, "")
    return {names[one.player]: (number(one.values[-1]), f"{one.steps[-1]:,}") for one in series}
