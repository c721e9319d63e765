"""Figures with their provenance, in the form of a model index."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from genzoo.errors import ConfigError
from genzoo.estimate import Note
from genzoo.evaluation import Evaluation
from genzoo.goal import Goal, read_goal
from genzoo.parsing import strict_json

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_OF_DATA = ("source", "split", "data_config", "source_y", "split_y", "data_y_config")
_NOT_ARGUMENTS = ("data", "source", "split", "data_config")
NOT_FINITE = "not finite"
METRIC_TYPE = "metric_type"
"""The second name of a fact of a figure in a model index."""
TASK = "unconditional-image-generation"
_TASKS = {"text": "text-to-image", "y": "image-to-image"}
"""The Hub's name of the task of a model, by the name of a condition."""


@dataclass(frozen=True)
class Figure:
    """One figure of a card.

    Arguments:
        name: Its name.
        value: The figure; None if it was not finite or is not a number.
        facts: Its error, kind, unit and notes.
        provenance: Its settings: data, rows, seed, sampler, metric, versions.
    """

    name: str
    value: float | None
    facts: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def shown_value(self) -> str:
        """Its value as text."""
        return NOT_FINITE if self.value is None else f"{self.value:.6g}"

    @property
    def notes(self) -> list[Note]:
        """Its notes, read as untrusted text; a note without a valid code is "uncoded"."""
        notes = self.facts.get("notes")
        return [read_note(note) for note in notes] if isinstance(notes, (list, tuple)) else []

    @property
    def goal(self) -> Goal | None:
        """Which way it is good, read as untrusted text; None if that is not known."""
        return read_goal(self.facts.get("goal"))

    def same_question(self, other: Figure) -> bool:
        """Whether two figures answer the same question: the same name for the same data."""
        return self.name == other.name and all(
            self.provenance.get(key) == other.provenance.get(key) for key in _OF_DATA
        )

    @property
    def question(self) -> str:
        """A key that is equal for figures with equal name, data, sampler and metric settings."""
        asked = ("sampler", "sampler_config", "metric_config", *_OF_DATA)
        return repr((self.name, [self.provenance.get(key) for key in asked]))

    def to_result(self, task: str) -> EvalResult:
        """Return the figure as an entry of a model index."""
        from huggingface_hub import EvalResult

        provenance = plain(self.provenance)
        rest = {key: value for key, value in provenance.items() if key not in _NOT_ARGUMENTS}
        return EvalResult(
            task_type=task,
            dataset_type=str(provenance.get("source", "")),
            dataset_name=str(provenance.get("data", "")),
            dataset_split=provenance.get("split"),
            # A Hub distinguishes data by this text only, not by further arguments.
            dataset_config=json.dumps(provenance.get("data_config", {}), sort_keys=True),
            metric_type=self.name,
            metric_name=self.name,
            metric_value=NOT_FINITE if self.value is None else plain(self.value),
            metric_args={**plain(self.facts), "provenance": rest},
        )

    @classmethod
    def from_result(cls, result: EvalResult) -> Figure:
        """Read an entry of a model index; missing values are left out of the provenance."""
        facts = dict(result.metric_args or {})
        provenance = facts.pop("provenance", {})
        provenance = dict(provenance) if isinstance(provenance, Mapping) else {}
        provenance |= {"source": result.dataset_type, "data": result.dataset_name}
        provenance |= {
            "split": result.dataset_split,
            "data_config": _config(result.dataset_config),
        }
        value = result.metric_value
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        name = str(result.metric_name or result.metric_type)
        facts.pop(METRIC_TYPE, None)
        if result.metric_type != name:
            facts[METRIC_TYPE] = str(result.metric_type)
        return cls(name, float(value) if number else None, facts, provenance)


def figures_of(evaluation: Evaluation) -> list[Figure]:
    """Return the figures of an evaluation, each with its complete provenance."""
    plain = evaluation.to_dict()
    figures = []
    for name, facts in plain["figures"].items():
        value, own = facts.pop("value"), facts.pop("provenance")
        given = {key: fact for key, fact in facts.items() if fact not in (None, [], "")}
        figures.append(Figure(name, value, given, {**plain["provenance"], **own}))
    return figures


def task_of(conditions: Sequence[str]) -> str:
    """Return the Hub's name of the task of a model with conditions of these names."""
    return next((_TASKS[name] for name in conditions if name in _TASKS), TASK)


def plain(value: Any) -> Any:
    """Return a value for YAML: without types of numpy or torch, and without keys of None.

    >>> import numpy
    >>> plain({"a": (numpy.float32(0.5), None), "b": float("nan"), "c": None})
    {'a': [0.5, 'not finite'], 'b': 'not finite'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        # An item keeps its place: a missing end of an interval must not make the other the first.
        return [NOT_FINITE if item is None else plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else NOT_FINITE
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return plain(value.tolist())
    return str(value)


def read_note(stored: Any) -> Note:
    """Return a stored note from an untrusted value.

    >>> read_note({"code": "ess-low", "text": "2.1 of 100.", "unreliable": True})
    Note(code='ess-low', text='2.1 of 100.', unreliable=True)
    >>> read_note("Typed by hand.")
    Note(code='uncoded', text='Typed by hand.', unreliable=False)
    """
    if not isinstance(stored, Mapping):
        return Note("uncoded", str(stored))
    text, unreliable = str(stored.get("text", "")), stored.get("unreliable") is True
    try:
        return Note(stored.get("code", ""), text, unreliable)
    except ConfigError:
        return Note("uncoded", text, unreliable)


def _config(text: Any) -> dict[str, Any]:
    try:
        config = strict_json(text or "{}")
    except (TypeError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
