"""Goal: which way a figure is good, and its best value."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from genzoo.errors import ConfigError

Direction = Literal["higher", "lower", "near", "none"]
_ARROWS = {"higher": "↑", "lower": "↓", "near": "→", "none": "–"}
UNKNOWN = "?"
"""The mark of a figure whose metric does not declare a goal."""
_WORDS = {
    "↑": "higher is better",
    "↓": "lower is better",
    "→": "near this value is best",
    "–": "neither way is good",
    UNKNOWN: "not declared",
}
REFERENCE = "reference"


@dataclass(frozen=True)
class Goal:
    """Which way a figure is good, and its best value.

    Arguments:
        direction: "higher" or "lower" is better, "near" the best value is best, or "none": neither
            way is good, as of a baseline that does not depend on the model.
        best: The best value that a model can reach, up to chance: a number, or "reference" for the
            value of the figure's `Reference`; None if it is not known or has no limit.

    Raises:
        ConfigError: The direction is unknown, the best value is not a finite number, or the two
            do not fit.
    """

    direction: Direction
    best: float | Literal["reference"] | None = None

    def __post_init__(self) -> None:
        """Check direction and best value."""
        if self.direction not in get_args(Direction):
            known = ", ".join(get_args(Direction))
            raise ConfigError(f"A goal's direction is one of {known}, got {self.direction!r}.")
        if not (self.best in (None, REFERENCE) or _is_finite(self.best)):
            raise ConfigError(
                "A goal's best value is a finite number, 'reference' or None, got "
                f"{self.best!r}. Leave it out if there is no limit."
            )
        if (self.direction == "near" and self.best is None) or (
            self.direction == "none" and self.best is not None
        ):
            raise ConfigError(
                f"A goal {self.direction!r} does not fit the best value {self.best!r}: 'near' "
                "needs one, 'none' has none."
            )

    @property
    def mark(self) -> str:
        """The goal as an arrow with the best value.

        >>> Goal("higher", 1).mark, Goal("near", 0.5).mark, Goal("lower", "reference").mark
        ('↑ 1', '→ 0.5', '↓ ref')
        """
        best = "ref" if self.best == REFERENCE else _shown(self.best)
        return f"{_ARROWS[self.direction]} {best}".strip()

    def __str__(self) -> str:
        """Return the goal in words.

        >>> print(Goal("higher", 1.0)), print(Goal("near", "reference"))
        higher is better, 1 is the best
        near the reference is the best
        (None, None)
        """
        best = "the reference" if self.best == REFERENCE else _shown(self.best)
        if self.direction == "none":
            return "neither way is good"
        if self.direction == "near":
            return f"near {best} is the best"
        return f"{self.direction} is better" + (f", {best} is the best" if best else "")

    def cost(self, value: float, reference: float | None = None) -> float:
        """Return a number that is smaller for a better figure; infinity for NaN.

        Arguments:
            value: The figure.
            reference: The value of its reference, which the cost of "near the reference" needs.

        Raises:
            ConfigError: Neither way is good, or the reference is missing.
        """
        if math.isnan(value):
            return math.inf
        if self.direction == "near":
            best = reference if self.best == REFERENCE else self.best
            if isinstance(best, (int, float)):
                return abs(value - best)
        signs = {"higher": -1.0, "lower": 1.0}
        if self.direction not in signs:
            raise ConfigError(f"Figures cannot be ranked: {self}. Choose another figure.")
        return signs[self.direction] * value


def read_goal(stored: Any) -> Goal | None:
    """Return a stored goal from an untrusted value; None if it is not a goal.

    >>> read_goal({"direction": "lower", "best": 0}), read_goal({"direction": "up"}), read_goal(1)
    (Goal(direction='lower', best=0), None, None)
    """
    if not isinstance(stored, Mapping):
        return None
    try:
        return Goal(stored.get("direction", ""), stored.get("best"))
    except (ConfigError, TypeError):
        return None


def mark_of(goal: Goal | None) -> str:
    """Return the mark of a goal, or that of an unknown one."""
    return UNKNOWN if goal is None else goal.mark


def words_of(goal: Goal | None) -> str:
    """Return a goal in words, also an unknown one."""
    return "not declared" if goal is None else str(goal)


def legend(marks: Collection[str]) -> str:
    """Return a sentence that explains the marks of a table; empty for no marks.

    >>> legend(["↑ 1", "↓", "?"])
    '↑ higher is better, ↓ lower is better, ? not declared; a number is the best value.'
    """
    arrows, bests = {mark[:1] for mark in marks}, {mark[2:] for mark in marks} - {""}
    text = ", ".join(f"{arrow} {words}" for arrow, words in _WORDS.items() if arrow in arrows)
    text += "; a number is the best value" if bests - {"ref"} else ""
    text += "; ref: the reference is the best value" if "ref" in bests else ""
    return f"{text}." if text else ""


def _is_finite(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _shown(best: Any) -> str:
    return "" if best is None else f"{best:g}"
