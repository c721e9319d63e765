"""Probes: simple classifiers of codes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor

from genzoo import seeds
from genzoo.capabilities import SupportsEncode
from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, Note, mean_of, undefined
from genzoo.evaluation.metric import Case, Metric, codes_of
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.process_group import map_blocks

_ONE_LABEL = Note(
    "one-label", "fewer than two labels have rows enough for every fold.", unreliable=True
)
_UNFINISHED = Note(
    "not-converged",
    "the logistic regression had not converged; give more max_steps.",
    unreliable=True,
)


@dataclass(frozen=True, kw_only=True)
class ProbeConfig(Config):
    """Probes of codes."""

    k: Annotated[int, Bounds(1, 10**4)] = 5
    """The number of neighbours that vote."""
    folds: Annotated[int, Bounds(2, 100)] = 5
    """The number of folds of the cross-validation."""
    decay: Annotated[float, Bounds(1e-12, 1e6)] = 0.01
    """λ of the logistic regression, which minimises the mean loss per row plus λ‖w‖² / 2."""
    max_steps: Annotated[int, Bounds(1, 10**6)] = 1000
    """The maximum number of steps of the logistic regression."""
    tol: Annotated[float, Bounds(1e-12, 1.0)] = 1e-3
    """The logistic regression ends once no derivative of its mean loss per row is above this."""


class LatentProbes(Metric[ProbeConfig]):
    """The cross-validated accuracy of labels predicted from flattened codes.

    Two probes: the vote of the k nearest neighbours, and logistic regression on standardised
    codes. The same figures for raw values are the baseline. They are computed with one thread, so
    that they do not depend on the number of threads.

    | Understanding Intermediate Layers Using Linear Classifier Probes (Alain, Bengio, 2016)
    """

    Config = ProbeConfig
    requires = (SupportsEncode,)
    min_examples = 100
    effort_fields = ("max_steps",)
    goals: ClassVar = {
        "knn-accuracy": Goal("higher", 1.0),
        "linear-accuracy": Goal("higher", 1.0),
        "knn-accuracy[pixels]": Goal("none"),
        "linear-accuracy[pixels]": Goal("none"),
    }

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        lacking = super().unavailable_reason(model, data)
        return lacking or ("" if "label" in data.head(1) else "the data have no labels")

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return both probes' accuracies, of codes and of raw values."""
        label = case.batch["label"]
        kept = torch.bincount(label)[label] >= self.config.folds
        vectors = case.data.info["x"].vectors(case.batch["x"])
        probed = {"": codes_of(case), **({} if vectors is None else {"[pixels]": vectors})}
        seed = seeds.derive_seed(case.seed, "folds") % 2**32
        tasks = {
            f"{name}{suffix}": (probe, values)
            for suffix, values in probed.items()
            for name, probe in self._probes(int(kept.sum())).items()
        }

        def accuracy(i: int) -> Estimate:
            probe, values = list(tasks.values())[i]
            return self._accuracy(probe, values[kept], label[kept], seed)

        return dict(zip(tasks, map_blocks(accuracy, len(tasks)), strict=True))

    def _probes(self, num: int) -> dict[str, Any]:
        num_learned = num * (1 - 1 / self.config.folds)
        strength = 1 / (self.config.decay * max(1.0, num_learned))
        linear = LogisticRegression(
            C=strength, max_iter=self.config.max_steps, tol=self.config.tol
        )
        return {
            "knn-accuracy": KNeighborsClassifier(self.config.k),
            "linear-accuracy": make_pipeline(StandardScaler(), linear),
        }

    def _accuracy(self, probe: Any, values: Tensor, label: Tensor, seed: int) -> Estimate:
        """Return the accuracy of labels, each predicted from the other folds."""
        provenance = {"dimensions": values.shape[1], "folds": self.config.folds}
        if int(label.bincount().count_nonzero()) < 2:
            return undefined("stochastic estimate", "share", len(label), _ONE_LABEL, **provenance)
        folds = StratifiedKFold(self.config.folds, shuffle=True, random_state=seed)
        x, y = values.float().numpy(), label.numpy()
        # With more threads, other neighbours at equal distance vote, and a solver stops elsewhere.
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            right = np.asarray(cross_val_predict(probe, x, y, cv=folds)) == y
        late = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        notes = (_UNFINISHED,) if late else ()
        correct = torch.from_numpy(right).double()
        figure = mean_of(correct, "stochastic estimate", unit="share", notes=notes)
        return replace(figure, provenance=provenance)
