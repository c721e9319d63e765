"""Evaluations read back from JSON, which may be malformed."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from genzoo.errors import DataError, GenzooError
from genzoo.estimate import Estimate, EstimateKind, Note, Reference
from genzoo.evaluation import Evaluation
from genzoo.evaluation.storing import WEIGHTS
from genzoo.files import check_inside, read_text
from genzoo.goal import read_goal
from genzoo.model_files import EVALUATIONS
from genzoo.parsing import strict_json

_FIELDS = {field.name for field in dataclasses.fields(Estimate)}


@dataclass(frozen=True)
class Stored:
    """An evaluation in a folder.

    Arguments:
        path: Its file.
        evaluation: The evaluation.
        weights: The hash of the weights that were evaluated; empty if the file has none.
    """

    path: Path
    evaluation: Evaluation
    weights: str


def read_stored(folder: str | os.PathLike[str]) -> tuple[list[Stored], list[str]]:
    """Return the evaluations in a folder, the newest first, and sentences on other files.

    Raises:
        LoadError: A file is a link out of the folder.
    """
    found, notes = [], []
    for path in sorted(Path(folder).glob("evaluation*.json"), key=_changed, reverse=True):
        check_inside(path, Path(folder))
        try:
            evaluation, values = read_evaluation(path)
        except DataError as error:
            notes.append(str(error))
            continue
        found.append(Stored(path, evaluation, str(values.get(WEIGHTS, ""))))
    return found, notes


def read_evaluation(path: Path) -> tuple[Evaluation, Mapping[str, Any]]:
    """Return the evaluation in a file, and everything in the file.

    Raises:
        DataError: It cannot be read, or is not an evaluation.
    """
    try:
        stored = strict_json(read_text(path, EVALUATIONS.max_bytes))
        return evaluation_of(stored), stored
    except (OSError, ValueError, GenzooError) as error:
        said = f"{str(path)!r} is not an evaluation that genzoo evaluate wrote: {error}"
        raise DataError(f"{said.rstrip('.')}.") from error


def evaluation_of(stored: Any) -> Evaluation:
    """Return the evaluation of values that `Evaluation.to_dict` gave.

    Raises:
        DataError: They are not such values.
    """
    if not (isinstance(stored, Mapping) and isinstance(stored.get("figures"), Mapping)):
        raise DataError("it has no figures")
    return Evaluation(
        figures={name: _figure(name, facts) for name, facts in stored["figures"].items()},
        provenance=_table(stored.get("provenance")),
        left_out=_texts(stored.get("left_out")),
        not_applicable=_texts(stored.get("not_applicable")),
    )


def _figure(name: str, facts: Any) -> Estimate:
    try:
        given = {key: value for key, value in facts.items() if key in _FIELDS}
        reference = given.get("reference")
        interval = given.get("interval")
        if given["kind"] not in get_args(EstimateKind):
            raise ValueError(f"it has the kind {given['kind']!r}")
        return Estimate(
            **given
            | {
                "value": _number(given["value"]),
                "std_error": _number(given["std_error"]),
                "interval": interval and _interval(*interval),
                "notes": tuple(Note(**note) for note in given.get("notes", ())),
                "reference": reference
                and Reference(_number(reference["value"]), reference["kind"]),
                "goal": read_goal(given.get("goal")),
                "provenance": _table(given.get("provenance")),
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"its figure {name!r} is malformed ({error})") from error


def _changed(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except OSError:
        return 0.0, path.name


def _interval(low: Any, high: Any) -> tuple[float, float]:
    """Return the ends of an interval; JSON has None for one that is infinite."""
    return (
        -math.inf if low is None else _number(low),
        math.inf if high is None else _number(high),
    )


def _number(value: Any) -> float:
    """Return a number; JSON has None for one that is not finite."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _table(values: Any) -> dict[str, Any]:
    return dict(values) if isinstance(values, Mapping) else {}


def _texts(values: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in _table(values).items()}
