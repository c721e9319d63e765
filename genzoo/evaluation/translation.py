"""Errors of translations: the cycle error, and the error from the truth if it is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.capabilities import SupportsTranslate
from genzoo.config import NoFields
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Note, mean_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.translating import Cycle, there_and_back


class CycleError(Metric[NoFields]):
    """The cycle error: the mean over rows of |F(G(x)) − x|, and of |G(F(y)) − y|.

    It measures what is lost, not what is right: translators that do nothing have a cycle error of
    0.

    | Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks
    | (Zhu, Park, Isola, Efros, 2017)
    """

    Config = NoFields
    requires = (SupportsTranslate,)
    goals: ClassVar = {"cycle-error-x": Goal("lower", 0.0), "cycle-error-y": Goal("lower", 0.0)}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return both errors, exact for each row."""
        cycles = {domain: cycle_of(case, domain) for domain in ("x", "y")}
        return {
            f"cycle-error-{domain}": mean_of(cycle.errors(), "exact", unit="")
            for domain, cycle in cycles.items()
        }


class TranslationError(Metric[NoFields]):
    """The mean over rows of |G(x) − y|, and of |F(y) − x|, where row i of y is T of row i of x.

    The notes state the error of x itself in place of the translation, if it has y's shape, and
    that of the mean of the rows of y.
    """

    Config = NoFields
    requires = (SupportsTranslate,)
    goals: ClassVar = {
        "translation-error-y": Goal("lower", 0.0),
        "translation-error-x": Goal("lower", 0.0),
    }

    def inapplicable_reason(self, model: Model, data: Dataset) -> str:
        if (reason := super().inapplicable_reason(model, data)) or data.info.aligned:
            return reason
        return "the rows of the two domains are not aligned: the truth is not known"

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return both errors, exact for each row."""
        figures = {}
        for source, target in (("x", "y"), ("y", "x")):
            cycle, truth = cycle_of(case, source), case.batch[target]
            errors = (cycle.translated - truth).abs().flatten(1).mean(1)
            figure = mean_of(errors, "exact", unit="")
            notes = (Note("without-knowledge", _controls(cycle.source, truth)),)
            figures[f"translation-error-{target}"] = replace(figure, notes=notes)
        return figures


def cycle_of(case: Case, domain: str) -> Cycle:
    """Return the rows of a domain, translated and back; computed once for all metrics."""

    def make() -> Cycle:
        model: Any = case.model
        return there_and_back(model, case.batch[domain], to="y" if domain == "x" else "x")

    return case.once(("cycle", domain), make)


def _controls(source: Tensor, truth: Tensor) -> str:
    """Return a note with the errors of trivial translations."""
    costs = [f"the rows' mean {(truth - truth.mean(0)).abs().mean():.4g}"]
    if source.shape == truth.shape:
        costs.insert(0, f"the source itself {torch.dist(source, truth, 1) / truth.numel():.4g}")
    return f"In the translation's place: {', '.join(costs)}."
