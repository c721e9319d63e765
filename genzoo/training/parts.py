"""The part of a model that a stage trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def only_part(model: nn.Module, part: str) -> Iterator[None]:
    """Let only a submodule be trained, or all where ``part`` is empty; frozen stays frozen."""
    if not part:
        yield
        return
    chosen = {id(p) for p in model.get_submodule(part).parameters()}
    frozen = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
