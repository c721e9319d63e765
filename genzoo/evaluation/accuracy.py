"""How often a model that classifies is right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import SupportsClassify
from genzoo.config import Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Reference, mean_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.model import GenerativeModel

_BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class AccuracyConfig(Config):
    """The share of labels that are right."""


class Accuracy(Metric):
    """The share of rows whose label the model takes for the most probable one.

    Of two domains whose rows belong together it is given for both: the labels of y are those of x.
    The reference is the share of the most frequent label, which a model that knows nothing can
    reach.
    """

    Config = AccuracyConfig
    requires = (SupportsClassify,)
    conditioned = False

    def missing(self, model: GenerativeModel, data: Dataset) -> str:
        """Say why the share cannot be computed; empty where it can."""
        lacking = super().missing(model, data)
        return lacking or ("" if "label" in data.head(1) else f"{data.name} has no labels")

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the share, over the rows that have a label."""
        label = case.batch["label"]
        known = label >= 0
        found = {"accuracy": _share(case.model, case.batch["x"][known], label[known])}
        if case.data.spec.aligned:
            found["accuracy-y"] = _share(case.model, case.batch["y"][known], label[known])
        return found


def _share(model: Any, x: Tensor, label: Tensor) -> Estimate:
    with torch.no_grad():
        blocks = [model.classify(block).argmax(1).cpu() for block in torch.split(x, _BLOCK)]
    right = torch.cat(blocks) == label if blocks and len(label) else torch.empty(0)
    figure = mean_of(right.double(), "exact", unit="share")
    if not len(label):
        return figure
    most = label.bincount().max().item() / len(label)
    return replace(figure, reference=Reference(most, "majority class"))
