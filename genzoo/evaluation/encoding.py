"""Codes and reconstructions of many rows, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.evaluation.metric import Case, rows_of

_BLOCK = 256


def codes_of(case: Case) -> Tensor:
    """Return the codes of a case's rows, flattened, (N, D) on the CPU."""
    model: Any = case.model
    codes = [model.encode(x, condition=condition).cpu() for x, condition in blocks(case)]
    return torch.cat(codes).flatten(1)


def blocks(case: Case) -> Iterator[tuple[Tensor, Any]]:
    """Yield rows (B, *event_shape), on the model's device, with their conditions."""
    for index in torch.split(torch.arange(len(case.batch["x"])), _BLOCK):
        rows, model = rows_of(case.batch, index), case.model
        place = model.device, model.dtype
        condition = {
            name: model.conditions[name].place(values, *place)
            for name, values in model.conditions_of(rows).items()
        }
        yield model.event.place(rows["x"], *place), condition
