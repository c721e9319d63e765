"""The curves of each stage of a run, each with its words and its values on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genzoo.meaning import Meaning, meaning_of
from genzoo.model_files import MEANINGS
from genzoo.report.curves import Curve, draw, number
from genzoo.report.log import Log, Series
from genzoo.report.reading import read_text
from genzoo.report.run_summary import RunSummary, StageFacts
from genzoo.training.best import is_loss
from genzoo.training.meanings import EVAL, OWN, own_meanings, read_meanings

HELD_OUT, RUN = "held-out rows", "run"
_SIGNS = {"min": 1.0, "lower": 1.0, "max": -1.0, "higher": -1.0}


@dataclass(frozen=True)
class StageCurves:
    """The curves of a stage: of each player if there are several, then those of the run.

    Arguments:
        stage: The stage.
        players: The curves by player; the name is empty if it is not needed.
        best: When the deciding figure, or the loss on held-out rows, was the best; empty if there
            is none.
    """

    stage: StageFacts
    players: Mapping[str, Sequence[Curve]]
    best: str = ""


def read_curves(folder: Path, log: Log, facts: RunSummary) -> list[StageCurves]:
    """Return the curves of each stage that has some."""
    meanings = read_meanings(read_text(folder, MEANINGS.name).text or "")
    stages = []
    for stage in facts.stages:
        series = {key: one for (number, key), one in log.series.items() if number == stage.number}
        if series:
            stages.append(_curves(stage, series, meanings.get(stage.number, {})))
    return stages


def _curves(
    stage: StageFacts, series: Mapping[str, Series], declared: Mapping[str, Meaning]
) -> StageCurves:
    judged = {key.removeprefix(EVAL): one for key, one in series.items() if key.startswith(EVAL)}
    trained = {key: one for key, one in series.items() if not key.startswith(EVAL)}
    players = {one.player for one in trained.values() if one.player}
    known = {**own_meanings(players), **declared}
    several = len(players) > 1
    best, said = _best(stage, judged, known)
    curves: dict[str, list[Curve]] = {}
    for key, one in sorted(trained.items(), key=lambda pair: _order(pair[1])):
        held_out = judged.pop(key if several else one.name, None)
        group = (one.player or RUN) if several else ""
        curve = draw(one, held_out, meaning_of(known, key), best if held_out else None)
        curves.setdefault(group, []).append(curve)
    for name, one in judged.items():
        meaning = known.get(EVAL + name) or meaning_of(known, name)
        curves.setdefault(HELD_OUT, []).append(draw(one, None, meaning, best))
    return StageCurves(stage, curves, said)


def _order(series: Series) -> tuple[bool, bool]:
    """Return a key that sorts what the objective logs before what the Trainer does."""
    return not series.player, series.name in OWN


def _best(
    stage: StageFacts, judged: Mapping[str, Series], known: Mapping[str, Meaning]
) -> tuple[int | None, str]:
    """Return the step of the best evaluation, and a sentence on it; None if there is none."""
    name = stage.figure or "loss"
    sign, series = _sign(name, stage.mode, known.get(EVAL + name)), judged.get(name)
    if series is None or sign is None:
        return None, ""
    points = zip(series.values, series.steps, strict=True)
    found = min(((sign * v, step) for v, step in points if math.isfinite(v)), default=None)
    if found is None:
        return None, ""
    value, step = found
    kept = "its weights are kept" if stage.figure else "the weights of the last step are published"
    text = f"The best {name} on held-out rows is {number(sign * value)} at step {step:,}; {kept}."
    return step, text


def _sign(name: str, mode: str, meaning: Meaning | None) -> float | None:
    """Return 1 if the smallest value of a figure is the best, −1 if the greatest is."""
    if is_loss(name):
        return 1.0
    goal = meaning.goal.direction if meaning is not None and meaning.goal is not None else ""
    return _SIGNS.get(mode or goal)
