"""The baseline of independent pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from genzoo.config import Bounds, Config
from genzoo.data.dataset import Dataset
from genzoo.estimate import Estimate, mean_of
from genzoo.evaluation.metric import Case, Metric
from genzoo.goal import Goal
from genzoo.model import Model
from genzoo.spaces import Binary


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(Config):
    """The independent-pixel baseline."""

    eps: Annotated[float, Bounds(1e-12, 0.5)] = 1e-3
    """The minimum probability of each value of a pixel."""


class IndependentPixels(Metric[BaselineConfig]):
    """The mean log-likelihood of binary data under independent pixels.

    log p(x) = Σ_i x_i log μ_i + (1 − x_i) log(1 − μ_i), with μ the training split's mean.
    """

    Config = BaselineConfig
    spaces = (Binary,)
    uses_conditions = False
    goals: ClassVar = {"independent-pixels": Goal("none")}

    def unavailable_reason(self, model: Model, data: Dataset) -> str:
        lacking = super().unavailable_reason(model, data)
        unknown = "the mean of the training data is not known"
        return lacking or ("" if "x" in data.info.mean else unknown)

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the baseline's exact figure."""
        mean = case.data.info.mean["x"]
        values = independent_log_likelihood(case.batch["x"], mean, self.config.eps)
        return {"independent-pixels": mean_of(values, "exact")}


def independent_log_likelihood(x: Tensor, mean: Tensor, eps: float) -> Tensor:
    """Return log p of each row of ``x`` (N, *event_shape) under independent pixels, (N,)."""
    mu = mean.double().clamp(eps, 1 - eps)
    rows = x.double().flatten(1)
    return rows @ torch.logit(mu).flatten() + torch.log1p(-mu).sum()
