"""What the Trainer's own figures mean, and the file of a run with the meanings of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from genzoo.files import replace_text
from genzoo.goal import Goal
from genzoo.meaning import Meaning, read_meaning
from genzoo.parsing import strict_json

EVAL = "eval/"
_NONE = Goal("none")
OWN = {
    "grad_norm": Meaning(
        "norm of the gradient before clipping",
        healthy="it stays within an order of magnitude or falls slowly; at 0 nothing is learned",
    ),
    "lr": Meaning("learning rate", healthy="it follows the schedule"),
    "examples_per_second": Meaning(
        "speed of training, without evaluations and pictures",
        unit="examples/s",
        goal=Goal("higher"),
        healthy="it is about constant",
    ),
}
_ALONE = {
    "loss": Meaning("loss that training minimises, a mean over the batch", goal=Goal("lower"))
}
_OF_A_PLAYER = {
    "loss": Meaning(
        "loss that this player minimises; where players have opposite aims, it need not fall",
        goal=_NONE,
    )
}


def own_meanings(players: Iterable[str]) -> dict[str, Meaning]:
    """Return the meanings of what the Trainer logs by itself.

    Arguments:
        players: The players of the objective.
    """
    return {**OWN, **(_OF_A_PLAYER if len(set(players)) > 1 else _ALONE)}


class MeaningsFile:
    """The file of a run with what each figure of each stage means.

    Arguments:
        path: The file; what a resumed run has in it is kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stages = read_meanings(path.read_text("utf-8")) if path.exists() else {}

    def add(self, stage: int, meanings: Mapping[str, Meaning]) -> None:
        """Add meanings of a stage, and write the file if they are new."""
        known = self.stages.setdefault(stage, {})
        if any(known.get(name) != meaning for name, meaning in meanings.items()):
            known.update(meanings)
            values = {
                str(number): {name: one.to_dict() for name, one in found.items()}
                for number, found in self.stages.items()
            }
            replace_text(self.path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_meanings(text: str) -> dict[int, dict[str, Meaning]]:
    """Return the meanings of each stage from an untrusted text; what is malformed is left out."""
    try:
        stored: Any = strict_json(text)
    except ValueError:
        return {}
    stages: dict[int, dict[str, Meaning]] = {}
    for number, figures in stored.items() if isinstance(stored, dict) else ():
        if number.isdecimal() and len(number) < 10 and isinstance(figures, dict):
            found = {name: read_meaning(values) for name, values in figures.items()}
            stages[int(number)] = {name: one for name, one in found.items() if one is not None}
    return stages
