"""The accuracy of a model that classifies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.capabilities import SupportsClassify
from genzoo.config import NoFields
from genzoo.data.dataset import Dataset
from genzoo.errors import NotFiniteFigureError
from genzoo.estimate import Estimate, Note, Reference, mean_of, undefined
from genzoo.evaluation.metric import Case, Metric
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.process_group import map_blocks

_BLOCK = 256
_UNLABELLED = Note("no-labels", "none of the rows that are judged has a label.", unreliable=True)


class Accuracy(Metric[NoFields]):
    """The share of rows whose label the model finds most probable.

    For two aligned domains it is computed for both, with the labels of x for y too. The reference
    is the share of the most frequent label, which a model that learned nothing can reach.
    """

    Config = NoFields
    requires = (SupportsClassify,)
    uses_conditions = False
    goals: ClassVar = {"accuracy": Goal("higher", 1.0), "accuracy-y": Goal("higher", 1.0)}

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
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
        return undefined("exact", "share", 0, _UNLABELLED)
    blocks = torch.split(x, _BLOCK)
    with torch.no_grad():
        found = map_blocks(lambda k: _most_probable(model.classify(blocks[k])), len(blocks))
    figure = mean_of((torch.cat(found) == label).double(), "exact", unit="share")
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
