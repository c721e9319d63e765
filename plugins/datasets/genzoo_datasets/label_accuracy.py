"""Whether samples have the requested label, by an independent classifier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from genzoo.plugin import (
    Binary,
    Bounds,
    Case,
    Config,
    DataInfo,
    Dataset,
    Estimate,
    Goal,
    Metric,
    Model,
    Note,
    Reference,
    Unit,
    mean_of,
)
from genzoo_datasets import classifier

_NOTE = Note(
    "classifier-limit",
    "Held-out data show the classifier's accuracy on rows of those labels. A model that makes "
    "easy examples may exceed it.",
)


@dataclass(frozen=True, kw_only=True)
class LabelConfig(Config):
    """The accuracy of samples' labels."""

    classifier: Annotated[str | None, Bounds(1, 64)] = None
    """The classifier; by default the one for data with this shape and these class names."""


class LabelAccuracy(Metric[LabelConfig]):
    """The share of samples to which an independent classifier assigns the requested label.

    The classifier comes with genzoo and was trained on the data's training split only.

    | Conditional Image Synthesis with Auxiliary Classifier GANs (Odena, Olah, Shlens, 2017)
    """

    Config = LabelConfig
    spaces = (Unit, Binary)
    min_examples = 100
    needs_condition = "label"
    defining_fields = ("classifier",)
    goals: ClassVar = {"label-accuracy": Goal("higher", "reference")}

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the figure cannot be computed; empty if it can."""
        return super().unavailable_reason(model, data) or unfit(self.config.classifier, data.info)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the share."""
        name = self.config.classifier or classifier.fitting(case.data.info["x"].event_shape)
        judge = classifier.load_classifier(str(name))
        right = judge.predict(case.samples) == case.held_out["label"]
        held_out = judge.predict(case.held_out["x"]) == case.held_out["label"]
        figure = mean_of(right.double(), "stochastic estimate", unit="share", notes=(_NOTE,))
        provenance = {"classifier": name, "sha256": classifier.sha256_of(str(name))}
        reference = Reference(held_out.double().mean().item(), "held-out data")
        return {"label-accuracy": replace(figure, reference=reference, provenance=provenance)}


def unfit(name: str | None, info: DataInfo) -> str:
    """Return why no classifier, or not the named one, fits the data's labels."""
    shape = info["x"].event_shape
    chosen = name or classifier.fitting(shape)
    if chosen is None:
        return f"no classifier comes with genzoo for data of shape {shape}"
    if chosen not in classifier.SHIPPED:
        return f"there is no classifier {chosen!r}: {', '.join(classifier.SHIPPED)}"
    made = classifier.SHIPPED[chosen]
    if shape != made.event_shape:
        return f"{chosen} is for images {made.event_shape}, not {shape}"
    if "label" not in info:
        return "the data have no labels"
    named = name is not None and info["label"].count == len(made.class_names)
    if info["label"].value_names() == made.class_names or named:
        return ""
    return f"the labels are not known to be those of {chosen}, trained on {made.data}"
