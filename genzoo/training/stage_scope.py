"""The nested model of a stage's objective, and the part of it that the stage trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import nn

from genzoo.errors import ConfigError, suggest
from genzoo.model import Model
from genzoo.stage import Stage


def model_of(stage: Stage, model: Model) -> Model:
    """Return the model of a stage's objective: the whole model, or a nested one.

    Raises:
        ConfigError: There is no such nested model.
    """
    if stage.model is None:
        return model
    nested = submodule(model, stage.model)
    if not isinstance(nested, Model):
        known = [name for name, m in model.named_modules() if isinstance(m, Model)]
        raise ConfigError(
            f"The part {stage.model!r} is a {type(nested).__name__}, which is not a model. "
            f"Name it as the stage's part, or give for its model one of: "
            f"{', '.join(filter(None, known)) or 'none, because it has no other'}."
        )
    return nested


@contextlib.contextmanager
def only_part(model: nn.Module, part: str | Sequence[str]) -> Iterator[None]:
    """Let only some submodules be trained, or all where ``part`` is empty; frozen stays frozen.

    Raises:
        ConfigError: The model has no such submodule.
    """
    if not part:
        yield
        return
    names = [part] if isinstance(part, str) else part
    chosen = {id(p) for name in names for p in submodule(model, name).parameters()}
    frozen = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def submodule(model: nn.Module, part: str) -> nn.Module:
    """Return a part by its dotted name.

    Raises:
        ConfigError: The model has no such part.
    """
    known = [name for name, _ in model.named_modules()]
    if part not in known:
        raise ConfigError(f"The model has no part {part!r}. {suggest(part, filter(None, known))}")
    return model.get_submodule(part)
