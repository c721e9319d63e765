"""The accuracy of a model that classifies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import SupportsClassify
from genzoo.config import Config
from genzoo.data.dataset import Dataset
from genzoo.errors import NotFiniteFigureError
from genzoo.estimate import Estimate, Note, Reference, mean_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import Model

_BLOCK = 256
_UNLABELLED = Note("no-labels", "none of the rows that are judged has a label.", unreliable=True)


@dataclass(frozen=True, kw_only=True)
class AccuracyConfig(Config):
    """The accuracy."""


class Accuracy(Metric[AccuracyConfig]):
    """The share of rows whose label the model finds most probable.

    For two aligned domains it is computed for both, with the labels of x for y too. The reference
    is the share of the most frequent label, which a model that learned nothing can reach.
    """

    Config = AccuracyConfig
    requires = (SupportsClassify,)
    uses_conditions = False

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        """Return why the figure cannot be computed; empty if it can."""
        lacking = super().unavailable_reason(model, data)
        return lacking or ("" if "label" in data.head(1) else f"{data.name} has no labels")

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the accuracy on the rows that have a label."""
        label = case.batch["label"]
        known = label >= 0
        figures = {"accuracy": _share(case.model, case.batch["x"][known], label[known])}
        if case.data.info.aligned:
            figures["accuracy-y"] = _share(case.model, case.batch["y"][known], label[known])
        return figures


def _share(model: Any, x: Tensor, label: Tensor) -> Estimate:
    if not len(label):
        return _nothing()
    with torch.no_grad():
        blocks = [_most_probable(model.classify(block)) for block in torch.split(x, _BLOCK)]
    figure = mean_of((torch.cat(blocks) == label).double(), "exact", unit="share")
    most = label.bincount().max().item() / len(label)
    return replace(figure, reference=Reference(most, "majority class"))


def _most_probable(p: Tensor) -> Tensor:
    """Return the most probable label, (B,), on the CPU; argmax would hide NaN."""
    if not bool(torch.isfinite(p).all()):
        raise NotFiniteFigureError(
            "A label's probability is NaN although rows and weights are finite: values overflow "
            "in the classifier. Check whether training diverged, or compute in float64."
        )
    return p.argmax(1).cpu()


def _nothing() -> Estimate:
    return Estimate(
        value=math.nan,
        std_error=math.nan,
        kind="exact",
        unit="share",
        num_samples=0,
        notes=(_UNLABELLED,),
    )
