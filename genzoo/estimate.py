"""Figures with their kind, unit and error."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from genzoo.errors import ConfigError, DataError, NotFiniteFigureError
from genzoo.goal import Goal

EstimateKind = Literal["exact", "lower bound", "upper bound", "stochastic estimate"]
Unit = Literal["nats", "bits/dim", "", "share", "modes", "states"]
"""The last three are a share, a number of modes and a number of states of a chain. Empty for a
figure without a unit, such as a squared distance of features."""

_CODE = re.compile(r"[a-z][a-z0-9-]{0,47}")


@dataclass(frozen=True)
class Note:
    """A remark that readers of a figure must know.

    Arguments:
        code: A short name that never changes, such as "ess-low", in lower-case letters, digits and
            hyphens. Cards are compared by it, because a text may contain numbers.
        text: One or more sentences.
        unreliable: Whether the estimator detected its own failure. Do not report such a figure.

    Raises:
        ConfigError: The code is malformed.
    """

    code: str
    text: str
    unreliable: bool = False

    def __post_init__(self) -> None:
        """Check the code."""
        if not (isinstance(self.code, str) and _CODE.fullmatch(self.code)):
            raise ConfigError(
                f"A note's code has lower-case letters, digits and hyphens, got {self.code!r}. "
                "Choose one such as 'ess-low'."
            )

    def __str__(self) -> str:
        return f"Unreliable: {self.text}" if self.unreliable else self.text


@dataclass(frozen=True)
class Reference:
    """A value to compare a figure with.

    Arguments:
        value: The same figure, computed for something else.
        kind: What it was computed for. "held-out data" are rows of the data in place of samples,
            the best possible value. "majority class" always predicts the most frequent label,
            which a model must exceed.
    """

    value: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its kind, unit and error.

    Arguments:
        value: The figure.
        std_error: One standard error of ``value``, from the finite number of examples and from the
            estimator together; 0 if there is none.
        kind: The relation of the figure to the quantity that it is named after: "exact" means
            equal; bounds hold in expectation.
        unit: One of `Unit`.
        num_samples: The number of examples, or of draws of the estimator.
        interval: Two ends that should contain the truth, from estimators that err to opposite
            sides; None if there is only one estimator.
        notes: Remarks for readers, unreliable ones first.
        reference: A value to compare the figure with, or None.
        goal: Which way is good; None if it is not known. An evaluation takes it from the metric.
        provenance: The settings of this figure, such as an extractor and its hash.

    Raises:
        ConfigError: A note is not a `Note`, or the goal not a `Goal`.
    """

    value: float
    std_error: float
    kind: EstimateKind
    unit: Unit
    num_samples: int
    interval: tuple[float, float] | None = None
    notes: tuple[Note, ...] = ()
    reference: Reference | None = None
    goal: Goal | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the notes, since a text without a code cannot be compared, and the goal."""
        wrong = [note for note in self.notes if not isinstance(note, Note)]
        if wrong:
            raise ConfigError(
                f"A note is a genzoo.plugin.Note, with a code and a text; got {wrong[0]!r}."
            )
        if not (self.goal is None or isinstance(self.goal, Goal)):
            raise ConfigError(
                f"A goal is a genzoo.plugin.Goal, such as Goal('higher', 1.0); got {self.goal!r}."
            )

    @property
    def unreliable(self) -> bool:
        """Whether a note calls the figure unreliable."""
        return any(note.unreliable for note in self.notes)

    def per_dimension(self, num_dimensions: int) -> Estimate:
        """Return a log-likelihood in nats as bits per dimension, −value / (D ln 2)."""
        scale = -1 / (num_dimensions * math.log(2))
        swap: dict[Any, Any] = {"lower bound": "upper bound", "upper bound": "lower bound"}
        ends = self.interval and (self.interval[1] * scale, self.interval[0] * scale)
        return replace(
            self,
            value=self.value * scale,
            std_error=-self.std_error * scale,
            kind=swap.get(self.kind, self.kind),
            unit="bits/dim",
            interval=ends,
        )

    def __str__(self) -> str:
        return " ".join([f"{self.short()}.", *map(str, self.notes)])

    def short(self) -> str:
        """Return the figure with error, unit, kind, interval and reference, without notes."""
        ends = [self.rounded(end) for end in self.interval or ()]
        facts = [self.kind, *([f"between {ends[0]} and {ends[1]}"] if ends else [])]
        if self.reference is not None:
            facts.append(f"{self.reference.kind} {self.rounded(self.reference.value)}")
        return f"{f'{self.with_error()} {self.unit}'.rstrip()} ({', '.join(facts)})"

    def with_error(self) -> str:
        """Return the value and its error, rounded to two digits of the error."""
        return f"{self.rounded(self.value)} ± {self.rounded(self.std_error)}"

    def rounded(self, value: float) -> str:
        """Return a number rounded to two digits of the error, with at least two decimals."""
        small = 0 < self.std_error < 0.1
        digits = min(8, 1 - math.floor(math.log10(self.std_error))) if small else 2
        return f"{value:.{digits}f}"


def mean_of(
    values: Tensor,
    kind: EstimateKind,
    *,
    unit: Unit = "nats",
    shared_error: float = 0.0,
    notes: tuple[Note, ...] = (),
    reference: Reference | None = None,
) -> Estimate:
    """Average per-example figures, of shape (N,).

    Arguments:
        values: One figure for each example.
        kind: The kind of each figure.
        unit: Their unit.
        shared_error: A standard error that all figures share, such as that of log Z. It does not
            shrink with N and is added in quadrature.
        notes: Passed on.
        reference: Passed on.

    Raises:
        DataError: There are no figures.
        NotFiniteFigureError: A figure is NaN or +infinity. -infinity, the log of a probability of
            0, is allowed.
    """
    num = len(values)
    _check_figures(values)
    spread = values.double().std().item() / math.sqrt(num) if num > 1 else math.inf
    return Estimate(
        value=values.double().mean().item(),
        std_error=math.hypot(spread, shared_error),
        kind=kind,
        unit=unit,
        num_samples=num,
        notes=notes,
        reference=reference,
    )


def undefined(
    kind: EstimateKind, unit: Unit, num_samples: int, note: Note, **provenance: Any
) -> Estimate:
    """Return a figure that cannot be computed, NaN, with a note that says why."""
    return Estimate(
        value=math.nan,
        std_error=math.nan,
        kind=kind,
        unit=unit,
        num_samples=num_samples,
        notes=(note,),
        provenance=provenance,
    )


def _check_figures(values: Tensor) -> None:
    if len(values) == 0:
        raise DataError("A mean over no rows was asked for. Give at least one row.")
    wrong = torch.isnan(values) | torch.isposinf(values)
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        raise NotFiniteFigureError(
            f"Of {len(values)} figures, one for each row, {int(wrong.sum())} are NaN or infinity; "
            f"the first, of row {first}, is {values[first].item()}. Rows and weights that are "
            "finite give that if values overflow: check whether training diverged, or compute in "
            "float64."
        )
