"""Verification: a card's figures are computed again and compared with the card.

A card's author chooses the settings, and weak settings have large errors that agree with anything.
So each figure is computed twice: with the card's settings, where it must be equal up to rounding,
and with settings no weaker than the metric's defaults, where it must agree within three standard
errors.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from genzoo.card.figures import Figure, figures_of
from genzoo.errors import GenzooError
from genzoo.estimate import Estimate
from genzoo.evaluation import Evaluation
from genzoo.evaluation.comparing import (
    contradictions,
    differences,
    has_finite_error,
    settled,
    too_far,
    unreliable_codes,
)
from genzoo.evaluation.reproducing import Reproduction, Settings
from genzoo.evaluation.streams import same_stream
from genzoo.model import Model
from genzoo.text_safety import visible

Judgement = Literal[
    "equal", "agrees", "unreliable, as the card says", "differs", "cannot be verified"
]
FAILURES: tuple[Judgement, ...] = ("differs", "cannot be verified")
OTHER_STREAM = "other random stream"
_UNRELIABLE: Judgement = "unreliable, as the card says"
logger = logging.getLogger("genzoo")


@dataclass(frozen=True)
class Verdict:
    """The verdict on one of a card's figures.

    Arguments:
        figure: The figure as the card states it.
        judgement: "equal": it equals the figure computed with the card's settings, up to rounding,
            and lies within three standard errors of the one with the defaults. "agrees": the
            random stream is another, and it lies within three standard errors of the one with the
            defaults. "unreliable, as the card says": the figure is flagged by the same code here
            and in the card. Otherwise it "differs", or it "cannot be verified".
        now: The figure with the card's settings, if it could be computed.
        default: The figure with settings no weaker than the defaults; ``now`` if the card's
            settings are not weaker.
        reasons: Why it differs or cannot be verified; "other random stream".
    """

    figure: Figure
    judgement: Judgement
    now: Estimate | None = None
    default: Estimate | None = None
    reasons: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the card's claim holds."""
        return self.judgement not in FAILURES

    def __str__(self) -> str:
        data = self.figure.provenance.get("data", "")
        parts = [f"{self.figure.name} on {data}: card {self.figure.shown_value}"]
        if self.now is not None:
            parts.append(f"recomputed {_shown(self.now)}")
        if self.default is not None and self.default is not self.now:
            parts.append(f"with the defaults {_shown(self.default)}")
        reasons = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return visible(f"{', '.join(parts)}: {self.judgement}{reasons}")


def verify(model: Model, figures: Sequence[Figure]) -> list[Verdict]:
    """Compute figures again from their provenance and compare them.

    Only registered data are loaded, never a path. The error that counts is computed here with
    settings no weaker than the defaults; it is not the card's error.

    Arguments:
        model: The model whose card has the figures.
        figures: The card's figures.
    """
    reproduction = Reproduction(model)
    asked = Counter(figure.question for figure in figures)
    twice = ("the card has two figures for this question; remove one",)
    return [
        _verdict(figure, reproduction)
        if asked[figure.question] == 1
        else Verdict(figure, "cannot be verified", reasons=twice)
        for figure in figures
    ]


def _verdict(figure: Figure, reproduction: Reproduction) -> Verdict:
    try:
        stated = Settings.of(figure.provenance)
        now = _figure(figure, stated, reproduction)
        strong = stated.for_verification(reproduction.model)
        default = now
        if stated.is_weaker_than(strong, len(reproduction.case(stated).data)):
            logger.info("%s: computed again with the defaults as well.", visible(figure.name))
            default = _figure(figure, strong, reproduction)
        stream = figure.provenance.get("stream")
        same = same_stream(stream, reproduction.stream(stated, stream))
        judgement, reasons = _judgement(figure, now, default, same=same)
        return Verdict(figure, judgement, now.estimate, default.estimate, tuple(reasons))
    except (GenzooError, TypeError, KeyError, ValueError) as error:
        return Verdict(figure, "cannot be verified", reasons=(str(error),))


@dataclass(frozen=True)
class _Made:
    """A recomputed figure: as an estimate, and in the form of a card."""

    estimate: Estimate
    figure: Figure


def _figure(figure: Figure, settings: Settings, reproduction: Reproduction) -> _Made:
    figures = reproduction.figures(settings)
    if figure.name not in figures:
        raise ValueError(f"the metric gives {', '.join(figures)}, and not {figure.name}")
    made: Estimate = figures[figure.name]
    evaluation = Evaluation({figure.name: made}, reproduction.provenance(settings))
    return _Made(made, figures_of(evaluation)[0])


def _judgement(
    figure: Figure, now: _Made, default: _Made, *, same: bool
) -> tuple[Judgement, list[str]]:
    # An exact figure does not depend on the random stream.
    same = same or now.estimate.kind == default.estimate.kind == "exact"
    stream = [] if same else [OTHER_STREAM]
    said = unreliable_codes(figure)
    flagged = unreliable_codes(now.figure) | unreliable_codes(default.figure)
    if flagged - said:
        text = f"flagged {', '.join(sorted(flagged - said))} here, and not in the card"
        return "cannot be verified", [text, *stream]
    if same and (reasons := differences(figure, now.figure)):
        return "differs", reasons
    if flagged:
        reasons = [] if same else _of_unreliable(figure, now, default)
        return ("differs", [*reasons, *stream]) if reasons else (_UNRELIABLE, stream)
    if not has_finite_error(default.estimate):
        return "cannot be verified", ["its error is not finite", *stream]
    if same:
        reasons = too_far(figure, default.figure)
    else:
        reasons = contradictions(figure, now.figure, default.figure)
    if reasons:
        return "differs", [*reasons, *stream]
    return ("equal", []) if same else ("agrees", stream)


def _of_unreliable(figure: Figure, now: _Made, default: _Made) -> list[str]:
    """Return the contradictions of a flagged figure on another stream.

    If the defaults give a figure with an error, a claim must agree with it, even if its settings
    are weak enough to be flagged.
    """
    if has_finite_error(default.estimate):
        return contradictions(figure, now.figure, default.figure)
    return settled(figure, now.figure)


def _shown(estimate: Estimate) -> str:
    return f"{estimate.value:.6g} ± {estimate.std_error:.2g}"
