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
from genzoo.evaluation.metric import Case, Metric, map_rows
from genzoo.goal import Goal
from genzoo.spaces import Space

_BLOCK = 256


class ReconstructionError(Metric[NoFields]):
    """The mean over rows of ‖decode(encode(x)) − x‖² / D, the squared error per dimension.

    Categories are compared by their one-hot codes, so it is twice the share of places that differ.
    The reference is the error of the mean row, which a model that learned nothing can reach.
    """

    Config = NoFields
    requires = (SupportsEncode, SupportsDecode)
    goals: ClassVar = {"reconstruction-error": Goal("lower", 0.0)}

    def compute(self, case: Case) -> dict[str, Estimate]:
        """Return the error, exact for each row."""
        errors = map_rows(case, lambda x, condition: _errors(case.model, x, condition))
        figure = mean_of(torch.cat(errors), "exact", unit="")
        baseline = _spread(case.model.event, case.batch["x"])
        return {"reconstruction-error": replace(figure, reference=Reference(baseline, "mean row"))}


def _errors(model: Any, x: Tensor, condition: Any) -> Tensor:
    """Return the squared error per dimension of each row of ``x`` (B, *event_shape), (B,).

    Raises:
        CapabilityError: What is decoded has another shape, or the rows have no vectors.
    """
    again: Tensor = model.decode(model.encode(x, condition=condition), condition=condition)
    if again.shape != x.shape:
        raise CapabilityError(
            f"{type(model).__name__}.decode gave shape {tuple(again.shape)} for rows of shape "
            f"{tuple(x.shape)}: it must return data in the shape of x."
        )
    if x.is_floating_point() or again.is_floating_point():
        return (again.double() - x.double()).square().flatten(1).mean(1).cpu()
    space: Space = model.event
    distance = _numbers(space, again) - _numbers(space, x)
    return distance.square().sum(1).cpu() / space.num_dims


def _spread(space: Space, x: Tensor) -> float:
    """Return the error of the mean row, per dimension."""
    if x.is_floating_point():
        rows = x.double()
        return (rows - rows.mean(0)).square().mean().item()
    # In blocks: vectors of categories take much more memory than these.
    parts = torch.split(x, _BLOCK)
    mean = sum(_numbers(space, part).sum(0) for part in parts) / len(x)
    total = sum((_numbers(space, part) - mean).square().sum() for part in parts)
    return float(total) / (len(x) * space.num_dims)


def _numbers(space: Space, x: Tensor) -> Tensor:
    """Return rows of indices as vectors, (B, V) float64.

    Raises:
        CapabilityError: The space has no vectors.
    """
    vectors = space.vectors(x)
    if vectors is None:
        raise CapabilityError(f"Rows of {space.describe()} have no vectors to compare.")
    return vectors.double()
