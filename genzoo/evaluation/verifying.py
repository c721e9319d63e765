"""A card's figures made again, and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from genzoo import registry
from genzoo.card.figures import Figure
from genzoo.data import Dataset, load_dataset, pair
from genzoo.errors import GenzooError
from genzoo.estimate import Estimate
from genzoo.evaluation import Evaluation, evaluate
from genzoo.model import GenerativeModel
from genzoo.sampler import Sampler
from genzoo.stage import Named

Judgement = Literal["equal", "agrees", "differs", "cannot be made again"]
_NEEDED = ("source", "split", "metric", "examples", "seed")
_SAME = 1e-4
_WITHIN = 3 * math.sqrt(2)


@dataclass(frozen=True)
class Verdict:
    """What became of one of a card's figures.

    Arguments:
        figure: The figure as the card has it.
        judgement: "equal" up to rounding; "agrees" within three standard errors of a difference;
            else it "differs", or it cannot be made again.
        now: The figure made again, where it could be.
        reason: Why it could not be.
    """

    figure: Figure
    judgement: Judgement
    now: Estimate | None = None
    reason: str = ""

    def __str__(self) -> str:
        value = "not finite" if self.figure.value is None else f"{self.figure.value:.6g}"
        data = self.figure.receipt.get("data", "")
        claim = f"{self.figure.name} on {data}: the card has {value}"
        if self.now is None:
            return f"{claim}; it {self.judgement}: {self.reason}"
        again = f"{self.now.value:.6g} ± {self.now.std_error:.2g}"
        return f"{claim}, made again it is {again}: {self.judgement}"


def verify(model: GenerativeModel, figures: Sequence[Figure]) -> list[Verdict]:
    """Make figures again from their receipts, and compare.

    The error that counts is the one that is found now, not the one that a card claims.
    """
    made: dict[str, Evaluation | str] = {}
    verdicts = []
    for figure in figures:
        lacking = [key for key in _NEEDED if figure.receipt.get(key) in (None, "")]
        if lacking:
            reason = f"its receipt lacks {', '.join(lacking)}"
            verdicts.append(Verdict(figure, "cannot be made again", None, reason))
            continue
        question = repr([figure.receipt.get(key) for key in (*_NEEDED, *_OPTIONAL)])
        if question not in made:
            made[question] = _again(model, figure.receipt)
        verdicts.append(_compare(figure, made[question]))
    return verdicts


_OPTIONAL = (
    *("data_config", "source_y", "split_y", "data_y_config"),
    *("metric_config", "sampler", "sampler_config"),
)


def _again(model: GenerativeModel, receipt: Mapping[str, Any]) -> Evaluation | str:
    """Return what a receipt comes to now, or why it cannot be had."""
    try:
        metric = Named(name=receipt["metric"], config=receipt.get("metric_config", {}))
        return evaluate(
            model,
            _data(receipt),
            [metric],
            sampler=_sampler(receipt),
            seed=receipt["seed"],
            max_examples=receipt["examples"],
        )
    except (GenzooError, TypeError, KeyError) as error:
        return str(error)


def _data(receipt: Mapping[str, Any]) -> Dataset:
    data = load_dataset(receipt["source"], receipt["split"], **receipt.get("data_config", {}))
    if not receipt.get("source_y"):
        return data
    values = receipt.get("data_y_config", {})
    return pair(data, load_dataset(receipt["source_y"], receipt.get("split_y"), **values))


def _sampler(receipt: Mapping[str, Any]) -> Sampler | None:
    if not receipt.get("sampler"):
        return None
    cls = registry.load("samplers", receipt["sampler"])
    sampler: Sampler = cls(cls.Config.from_dict(receipt.get("sampler_config", {})))
    return sampler


def _compare(figure: Figure, made: Evaluation | str) -> Verdict:
    if isinstance(made, str):
        return Verdict(figure, "cannot be made again", None, made)
    now = made.figures.get(figure.name)
    if now is None:
        reason = f"the metric gives {', '.join(made.figures)}"
        return Verdict(figure, "cannot be made again", None, reason)
    return Verdict(figure, _judge(figure.value, now), now)


def _judge(value: float | None, now: Estimate) -> Judgement:
    if value is None or not math.isfinite(now.value):
        return "equal" if value is None and not math.isfinite(now.value) else "differs"
    difference = abs(value - now.value)
    if difference <= _SAME * max(abs(now.value), 1e-12):
        return "equal"
    return "agrees" if difference <= _WITHIN * now.std_error else "differs"
