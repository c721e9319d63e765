"""The part of a model that a stage trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from genzoo.errors import ConfigError, suggest


@contextlib.contextmanager
def only_part(model: nn.Module, part: str) -> Iterator[None]:
    """Let only a submodule be trained, or all where ``part`` is empty; frozen stays frozen.

    Raises:
        ConfigError: The model has no such submodule.
    """
    if not part:
        yield
        return
    chosen = {id(p) for p in _submodule(model, part).parameters()}
    frozen = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _submodule(model: nn.Module, part: str) -> nn.Module:
    known = [name for name, _ in model.named_modules()]
    if part not in known:
        raise ConfigError(f"The model has no part {part!r}. {suggest(part, filter(None, known))}")
    return model.get_submodule(part)
