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
from genzoo.report.curves import Curve, draw, number
from genzoo.report.evaluations import Figure, StoredEvaluation, read_evaluations
from genzoo.report.log import Log, read_log
from genzoo.report.pictures import Timeline, read_timeline
from genzoo.report.reading import changed_at
from genzoo.report.run_summary import RunSummary, StageFacts, read_run_summary
from genzoo.training.environment import machine

_RUN = (RECIPE.name, METRICS.name, CONFIG.name)
_HEADLINE = 6
_LIKELIHOODS = ("nats", "bits/dim")


@dataclass(frozen=True)
class StageCurves:
    """The curves of a stage: of each player if there are several, then those of the run.

    Arguments:
        stage: The stage.
        players: The curves by player; the name is empty if it is not needed.
    """

    stage: StageFacts
    players: Mapping[str, Sequence[Curve]]


@dataclass(frozen=True)
class Report:
    """The content of the page.

    Arguments:
        folder: The folder as given, quoted for a shell.
        name: The folder's name.
        facts: The summary of the run.
        losses: The last loss of each player, with its step.
        curves: The curves of each stage.
        log_notes: Notes on what was left out of them.
        logged: The time of the last write to metrics.jsonl.
        timeline: The samples.
        evaluations: The evaluations.
        evaluation_notes: Notes on what was left out of them.
        machine: The environment of the report.
        written: The time of the report.
    """

    folder: str
    name: str
    facts: RunSummary
    losses: Mapping[str, tuple[str, str]]
    curves: Sequence[StageCurves]
    log_notes: Sequence[str]
    logged: str
    timeline: Timeline
    evaluations: Sequence[StoredEvaluation]
    evaluation_notes: Sequence[str]
    machine: Mapping[str, str]
    written: str

    @property
    def headline(self) -> list[tuple[Figure, StoredEvaluation]]:
        """The headline figures: likelihoods before figures without a common unit."""
        pairs = [(figure, one) for one in self.evaluations for figure in one.figures]
        return sorted(pairs, key=lambda pair: pair[0].unit not in _LIKELIHOODS)[:_HEADLINE]

    @property
    def current(self) -> StageFacts | None:
        """The current stage of the run, or None if it is not known."""
        begun = [stage for stage in self.facts.stages if stage.reached]
        return [*self.facts.stages[:1], *begun][-1] if self.facts.stages else None

    @property
    def progress(self) -> float | None:
        """The share of updates that are made, or None if it is not known."""
        stages = self.facts.stages
        total = sum(stage.total or 0 for stage in stages)
        if not total or any(stage.total is None for stage in stages):
            return None
        return min(1.0, sum(stage.reached for stage in stages) / total)


def read_report(folder: Path, named: Sequence[Path]) -> Report:
    """Collect the content of a folder, with further files of evaluations.

    Raises:
        DataError: There is no run in it, or a named evaluation cannot be read.
    """
    _check(folder)
    log = read_log(folder)
    facts = read_run_summary(folder, log)
    evaluations, evaluation_notes = read_evaluations(folder, named)
    return Report(
        folder=shlex.quote(os.fspath(folder)),
        name=folder.resolve().name,
        facts=facts,
        losses=_losses(log),
        curves=_curves(log, facts),
        log_notes=log.notes,
        logged=changed_at(folder / METRICS.name) if log.last else "",
        timeline=read_timeline(folder),
        evaluations=evaluations,
        evaluation_notes=evaluation_notes,
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


def _curves(log: Log, facts: RunSummary) -> list[StageCurves]:
    stages = []
    for stage in facts.stages:
        series = [one for (number, _), one in log.series.items() if number == stage.number]
        series.sort(key=lambda one: not one.player)
        several = len({one.player for one in series if one.player}) > 1
        curves: dict[str, list[Curve]] = {}
        for one in series:
            group = (one.player or "run") if several else ""
            curves.setdefault(group, []).append(draw(one))
        if curves:
            stages.append(StageCurves(stage, curves))
    return stages


def _losses(log: Log) -> dict[str, tuple[str, str]]:
    """Return the last loss of each player of the last stage, and its step."""
    last = max(log.last, default=0)
    series = [s for (stage, _), s in log.series.items() if stage == last and s.name == "loss"]
    return {one.player: (number(one.values[-1]), f"{one.steps[-1]:,}") for one in series}
