"""Meaning: what a logged figure is, in words for those who read its curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genzoo.errors import ConfigError
from genzoo.goal import Goal, read_goal

_MOST = 1000
_TEXTS = ("what", "unit", "healthy")


@dataclass(frozen=True)
class Meaning:
    """What a logged figure is, in words for those who read its curve.

    An objective declares one for each figure that it logs (`Objective.meanings`). A report shows
    them next to the curves. What is not known is left out.

    Arguments:
        what: What the figure is, in a few words.
        unit: Its unit, such as "nats"; empty if it has none.
        goal: Which way is good; None if it is not declared.
        healthy: What its curve looks like if training goes well.

    Raises:
        ConfigError: A text is empty, too long or not a text, or the goal is not a `Goal`.

    >>> Meaning("KL divergence of the codes", unit="nats", healthy="rises from 0, then is steady")
    ...     # doctest: +ELLIPSIS
    Meaning(what='KL divergence of the codes', unit='nats', goal=None, healthy=...)
    """

    what: str
    unit: str = ""
    goal: Goal | None = None
    healthy: str = ""

    def __post_init__(self) -> None:
        """Check the texts and the goal."""
        for name in _TEXTS:
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > _MOST:
                raise ConfigError(f"{name} of a meaning is a text of up to {_MOST} characters.")
        if not self.what:
            raise ConfigError("A meaning says what the figure is. Give a few words.")
        if not (self.goal is None or isinstance(self.goal, Goal)):
            raise ConfigError(f"A goal is a genzoo.plugin.Goal, got {self.goal!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the meaning as plain values."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        if self.goal is not None:
            values["goal"] = {"direction": self.goal.direction, "best": self.goal.best}
        return {name: value for name, value in values.items() if value}


def read_meaning(stored: Any) -> Meaning | None:
    """Return a stored meaning from an untrusted value; None if it is not a meaning.

    >>> read_meaning({"what": "the loss", "unit": 3}), read_meaning("the loss")
    (None, None)
    """
    if not isinstance(stored, Mapping):
        return None
    texts = {name: stored.get(name, "") for name in _TEXTS}
    try:
        return Meaning(**texts, goal=read_goal(stored.get("goal")))
    except ConfigError:
        return None


def meaning_of(meanings: Mapping[str, Meaning], key: str) -> Meaning | None:
    """Return the meaning of a logged figure; None if it is not declared.

    Arguments:
        meanings: Meanings by the name of the figure, or by ``player/name`` for one player's.
        key: ``player/name``, or a name without a player.
    """
    return meanings.get(key) or meanings.get(key.partition("/")[2])
