"""Paired comparison of models: the difference of log-likelihoods on the same rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from genzoo import seeds
from genzoo.capabilities import SupportsLogProb
from genzoo.config import shown
from genzoo.data import as_dataset
from genzoo.data.dataset import Dataset
from genzoo.errors import CapabilityError, ConfigError
from genzoo.estimate import Estimate, EstimateKind, Note, mean_of
from genzoo.evaluation import MAX_EXAMPLES, open_case
from genzoo.evaluation.likelihood import log_prob
from genzoo.evaluation.provenance import provenance_of
from genzoo.evaluation.views import html_of, record
from genzoo.finite import weights_checked
from genzoo.frames import frame_of
from genzoo.goal import Goal
from genzoo.log_prob import LogProb
from genzoo.model import Model
from genzoo.sampling import evaluating

_SIDE: Mapping[EstimateKind, int] = {"exact": 0, "lower bound": -1, "upper bound": 1}
"""The side of the truth on which a kind of value lies."""
HIGHER = Goal("higher")
_KIND: Mapping[int, EstimateKind] = {0: "exact", -1: "lower bound", 1: "upper bound"}


@dataclass(frozen=True)
class Comparison:
    """The mean log-likelihoods of several models on the same rows, and their differences.

    Arguments:
        figures: The mean log-likelihood of each model, in nats.
        differences: For each pair, the first one's mean less the second one's, in nats. Its error
            is that of the paired differences, in which rows that are hard for both models cancel.
        provenance: The data, the number of examples, the seed and the versions.
    """

    figures: Mapping[str, Estimate]
    differences: Mapping[tuple[str, str], Estimate]
    provenance: Mapping[str, Any]

    def to_frame(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each model and each difference.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return frame_of([record(*item) for item in self._rows.items()], index="figure")

    def _repr_html_(self) -> str:
        """Return the figures and the differences as a table, for notebooks."""
        return html_of(self._rows, self.provenance, {}, {})

    def __str__(self) -> str:
        rows = self._rows
        width = max(map(len, rows))
        return "\n".join(f"{name:<{width}}  {figure}" for name, figure in rows.items())

    @property
    def _rows(self) -> dict[str, Estimate]:
        named = {f"{a} − {b}": figure for (a, b), figure in self.differences.items()}
        return {**self.figures, **named}


def compare(
    models: Mapping[str, Model],
    data: Dataset | Any,
    *,
    num_samples: int | None = None,
    seed: int = 0,
    max_examples: int = MAX_EXAMPLES,
) -> Comparison:
    """Compare the log-likelihoods of models on the same rows.

    The difference of two means has the error √(var(log p_a(x) − log p_b(x)) / N), which is usually
    far smaller than the errors of the means. The error of a normaliser, such as log Z, is added.

    Arguments:
        models: At least two models by name.
        data: A dataset, or an array or tensor of rows.
        num_samples: The number of draws of each estimate; None means each model's default.
        seed: The seed of estimators and of the choice of rows.
        max_examples: The maximum number of rows; see `genzoo.evaluate`.

    Raises:
        ConfigError: There are fewer than two models.
        CapabilityError: A model has no log-likelihood, or two of them are not comparable: a
            probability and a density, or different events.
        DataError: The data are not of a model's kind or shape, or there are none.
    """
    _check_models(models)
    dataset = as_dataset(data)
    log_probs: dict[str, LogProb] = {}
    provenance: Mapping[str, Any] = {}
    for name, model in models.items():
        case = open_case(model, dataset, seed=seed, max_examples=max_examples)
        with evaluating(model), weights_checked(model):
            # With separate draws, because the errors of two normalisers are added as independent.
            case.generator.manual_seed(seeds.derive_seed(case.seed, name))
            log_probs[name] = log_prob(case, num_samples)
        provenance = provenance or provenance_of(case)
    pairs = list(itertools.combinations(models, 2))
    for a, b in pairs:
        _demand_same((a, models[a], log_probs[a]), (b, models[b], log_probs[b]))
    return Comparison(
        figures={name: replace(p.mean(), goal=HIGHER) for name, p in log_probs.items()},
        differences={(a, b): difference(a, log_probs[a], b, log_probs[b]) for a, b in pairs},
        provenance=provenance,
    )


def _check_models(models: Any) -> None:
    """Raise unless there are at least two models with likelihoods, by printable names."""
    if not isinstance(models, Mapping) or not all(
        isinstance(name, str) and isinstance(model, Model) for name, model in models.items()
    ):
        raise ConfigError(
            f"A comparison takes models by name, such as {{'a': model_a, 'b': model_b}}, got "
            f"{shown(models)}. Load a model with genzoo.GenModel.from_pretrained."
        )
    if len(models) < 2:
        raise ConfigError(f"A comparison needs at least two models, got {len(models)}. Name more.")
    for name, model in models.items():
        if not isinstance(model, SupportsLogProb):
            raise CapabilityError(f"{name!r} is a {type(model).__name__}, without log_prob.")


def difference(name_a: str, a: LogProb, name_b: str, b: LogProb) -> Estimate:
    """Return the mean of log p_a(x) − log p_b(x) over rows, with the error of paired values."""
    kind, notes = _kind_of(a.kind, b.kind)
    error = math.hypot(a.shared_error, b.shared_error)
    mean = mean_of(a.values - b.values, kind, shared_error=error)
    own = [(name_a, note) for note in a.notes] + [(name_b, note) for note in b.notes]
    named = tuple(replace(note, text=f"{name}: {note.text}") for name, note in own)
    ends, goal = _ends(mean.value, a, b), HIGHER
    return replace(mean, interval=ends, notes=(*notes, *named), goal=goal)


def _kind_of(a: EstimateKind, b: EstimateKind) -> tuple[EstimateKind, tuple[Note, ...]]:
    """Return the kind of a difference: a bound if both parts err to the same side."""
    sides = {_SIDE.get(a), None if b not in _SIDE else -_SIDE[b]} - {0}
    if not sides:
        return "exact", ()
    if len(sides) == 1 and None not in sides:
        return _KIND[next(side for side in sides if side is not None)], ()
    if sides == {None}:
        return "stochastic estimate", ()
    if "stochastic estimate" in (a, b):
        bound = a if b == "stochastic estimate" else b
        text = f"One of the two is a {bound}, whose gap is not in the error or the interval."
        return "stochastic estimate", (Note("bound-in-difference", text),)
    text = (
        f"The difference of two values that are each a {a} is not a bound: either may be looser."
    )
    return "stochastic estimate", (Note("bounds-differ", text),)


def _ends(value: float, a: LogProb, b: LogProb) -> tuple[float, float] | None:
    if a.interval is None and b.interval is None:
        return None
    (low_a, high_a), (low_b, high_b) = a.interval or (0.0, 0.0), b.interval or (0.0, 0.0)
    return value + low_a - high_b, value + high_a - low_b


def _demand_same(first: tuple[str, Model, LogProb], second: tuple[str, Model, LogProb]) -> None:
    """Raise if two values are not comparable."""
    (a, model_a, log_p_a), (b, model_b, log_p_b) = first, second
    if log_p_a.measure != log_p_b.measure:
        raise CapabilityError(
            f"log p of {a!r} is that of a {log_p_a.measure}, log p of {b!r} that of a "
            f"{log_p_b.measure}: their difference is meaningless. Compare models of one "
            "measure."
        )
    # Densities over reals and over [0, 1] have the same units; the data fit both.
    density = log_p_a.measure == "density"
    if not density and model_a.event != model_b.event:
        raise CapabilityError(
            f"{a!r} models {model_a.event}, {b!r} models {model_b.event}: their "
            "probabilities are of different events. Compare models of the same values."
        )
