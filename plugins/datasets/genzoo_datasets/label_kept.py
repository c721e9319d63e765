"""Whether translations preserve the label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from genzoo.plugin import (
    Case,
    Config,
    Dataset,
    Estimate,
    Goal,
    Metric,
    Model,
    SupportsTranslate,
    Unit,
    cycle_of,
    mean_of,
)
from genzoo_datasets import classifier


@dataclass(frozen=True, kw_only=True)
class LabelKeptConfig(Config):
    """The share of translations that preserve their label."""


class LabelKept(Metric[LabelKeptConfig]):
    """The share of rows y whose translation to x gets the label of the true x, by a classifier.

    Row i of y is the true translation of row i of x. The classifier was trained on images of x
    only.
    """

    Config = LabelKeptConfig
    requires = (SupportsTranslate,)
    spaces = (Unit,)
    min_examples = 100
    goals: ClassVar = {"label-kept": Goal("higher", 1.0)}

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the figure does not apply; empty if it does."""
        if reason := super().inapplicable_reason(model, data):
            return reason
        aligned = data.info.aligned
        return (
            ""
            if aligned
            else "the rows of the two domains are not aligned: the truth is not known"
        )

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the figure cannot be computed; empty if it can."""
        return super().unavailable_reason(model, data) or _unjudged(data)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the share."""
        name = str(_judge(case.data))
        judge = classifier.load_classifier(name)
        kept = judge.predict(cycle_of(case, "y").translated) == judge.predict(case.batch["x"])
        figure = mean_of(kept.double(), "stochastic estimate", unit="share")
        provenance = {"classifier": name, "sha256": classifier.sha256_of(name)}
        return {"label-kept": replace(figure, provenance=provenance)}


def _judge(data: Dataset) -> str | None:
    """Return the name of the classifier for images and labels of x, or None."""
    name = classifier.fitting(data.info["x"].event_shape)
    if name is None or "label" not in data.info:
        return None
    known = classifier.SHIPPED[name].class_names == data.info["label"].value_names()
    return name if known else None


def _unjudged(data: Dataset) -> str:
    if _judge(data) is not None:
        return ""
    return f"no classifier comes with genzoo for {data.name}, {data.info['x'].event_shape}"
