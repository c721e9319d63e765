"""The reconstruction error of codes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from genzoo.capabilities import SupportsDecode, SupportsEncode
from genzoo.config import NoFields
from genzoo.errors import CapabilityError
from genzoo.estimate import Estimate, Reference, mean_of
from genzoo.evaluation.metric import Case, Metric, blocks
from genzoo.goal import Goal


class ReconstructionError(Metric[NoFields]):
    """The mean over rows of ‖decode(encode(x)) − x‖² / D, the squared error per dimension.

    The reference is the error of the mean row, which a model that learned nothing can reach.
    """

    Config = NoFields
    requires = (SupportsEncode, SupportsDecode)
    goals: ClassVar = {"reconstruction-error": Goal("lower", 0.0)}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the error, exact for each row."""
        errors = [_errors(case.model, x, condition) for x, condition in blocks(case)]
        figure = mean_of(torch.cat(errors), "exact", unit="")
        rows = case.batch["x"].double()
        baseline = (rows - rows.mean(0)).square().mean().item()
        return {"reconstruction-error": replace(figure, reference=Reference(baseline, "mean row"))}


def _errors(model: Any, x: Tensor, condition: Any) -> Tensor:
    """Return the squared error per dimension of each row of ``x`` (B, *event_shape), (B,)."""
    again: Tensor = model.decode(model.encode(x, condition=condition), condition=condition)
    if again.shape != x.shape:
        raise CapabilityError(
            f"{type(model).__name__}.decode gave shape {tuple(again.shape)} for rows of shape "
            f"{tuple(x.shape)}: it must return data in the shape of x."
        )
    return (again.double() - x.double()).square().flatten(1).mean(1).cpu()
