"""The models that a stage's data pass through before its objective sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from genzoo import seeds
from genzoo.capabilities import SupportsEncode
from genzoo.conditions import condition_rows
from genzoo.errors import ConfigError
from genzoo.model import Model
from genzoo.sampling import evaluating
from genzoo.spaces import Space
from genzoo.spec import DataInfo
from genzoo.stage import Stage
from genzoo.training.stage_scope import model_of, only_part, submodule
from genzoo.values import trusted

_ROWS = 1024
"""The number of rows that are encoded at once, so that the initialisation needs little memory."""


class Inputs:
    """The models that a stage's data pass through, in order; without any, the data are unchanged.

    They have the (averaged) weights of the earlier stages, are in eval mode, and receive no
    gradient.

    Arguments:
        stage: The stage that names them.
        model: The model that holds them.

    Raises:
        ConfigError: A name is not that of a submodule, or the submodule does not encode.
    """

    def __init__(self, stage: Stage, model: Model) -> None:
        self.models = [_encoder(model, name) for name in stage.inputs]

    def feed(
        self, batches: Sequence[dict[str, Any]], slots: Sequence[int], seed: int, index: int
    ) -> list[dict[str, Any]]:
        """Return the micro-batches of update ``index`` with codes in place of their rows.

        Codes are drawn from (seed, index, slot): anew at each presentation, and equal after
        resuming and on other processes.

        Arguments:
            batches: The micro-batches, on the device.
            slots: The slot of each.
            seed: The stage's seed.
            index: The update's number.
        """
        if not self.models:
            return list(batches)
        # This is a function of the batch on the device, not a wrapped dataset: worker processes
        # would encode on the CPU, and a cache of codes would repeat the same draws.
        with trusted():  # The data were checked when they were loaded.
            return [
                self.coded(batch, seeds.derive_seed(seed, "inputs", index, slot))
                for batch, slot in zip(batches, slots, strict=True)
            ]

    @torch.no_grad()
    def coded(self, batch: dict[str, Any], seed: int) -> dict[str, Any]:
        """Return a batch with codes in place of its rows; its conditions are unchanged."""
        if not self.models:
            return batch
        x = batch["x"]
        generator = seeds.generator(seed, x.device)
        for model in self.models:
            x = _codes(model, x, model.conditions_of(batch), generator)
        return {**batch, "x": x}

    def first(
        self, batch: dict[str, Any], info: DataInfo, seed: int
    ) -> tuple[dict[str, Any], DataInfo]:
        """Return the batch of the initialisation as codes, and the info of the codes.

        The info has the mean of this batch.
        """
        if not self.models:
            return batch, info
        coded = self.coded(batch, seed)
        x: Tensor = coded["x"]
        # The mean of these rows, because codes are drawn anew each time.
        mean = x.double().mean(0).float().cpu() if x.is_floating_point() else None
        return coded, _info_of(info, self.models[-1].codes).with_mean(mean)


def check_inputs(stage: Stage, model: Model, info: DataInfo) -> None:
    """Check that a stage's data can pass through its inputs, if any, and then fit its model.

    Raises:
        ConfigError: A name is not that of a submodule, a submodule does not encode, spaces do not
            fit, or the stage would train an input.
        DataError: The data lack a condition.
    """
    if not stage.inputs and stage.model is None:
        return
    inputs, given, whose = Inputs(stage, model).models, info, "the data"
    for name, encoder in zip(stage.inputs, inputs, strict=True):
        remedy = "Name other inputs, or make it for these"
        _check_fits(f"The stage's input {name!r}", encoder, given, whose, remedy)
        given, whose = _info_of(given, encoder.codes), f"the codes of {name!r}"
    learning = model_of(stage, model)
    _check_fits(
        f"The stage's model{f' {stage.model!r}' if stage.model else ', the whole one,'}",
        learning,
        given,
        whose,
        _models_of(model, given["x"]),
    )
    _check_not_trained(stage, inputs, learning)


def _encoder(model: Model, name: str) -> Any:
    found = submodule(model, name)
    if _encodes(found):
        return found
    known = [other for other, part in model.named_modules() if other and _encodes(part)]
    raise ConfigError(
        f"A stage's data cannot pass through {name!r}, a {type(found).__name__}: it does not "
        f"encode. Give for its inputs {_one_of(known)}."
    )


def _encodes(module: nn.Module) -> bool:
    return isinstance(module, Model) and isinstance(module, SupportsEncode)


def _codes(
    model: Any, x: Tensor, condition: Mapping[str, Any], generator: torch.Generator
) -> Tensor:
    """Return draws of codes, or their means if those can stand for draws."""
    parts: list[Tensor] = []
    # In eval mode, because dropout and batch statistics would make codes depend on the batch.
    with evaluating(model):
        for first in range(0, len(x), _ROWS):
            rows = slice(first, first + _ROWS)
            given = condition_rows(condition, model.conditions, rows)
            if model.codes.has_means:
                parts.append(model.encode(x[rows], condition=given))
            else:
                parts.append(model.draw_codes(x[rows], condition=given, generator=generator))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _info_of(info: DataInfo, codes: Space) -> DataInfo:
    """Return the info of data whose rows are codes; facts about the rows are dropped."""
    bounds = {name: ends for name, ends in info.range.items() if name != "x"}
    mixtures = {name: mixture for name, mixture in info.mixture.items() if name != "x"}
    found = info.with_field("x", codes).with_mean(None)
    return replace(found, range=bounds, mixture=mixtures)


def _check_fits(title: str, model: Model, info: DataInfo, whose: str, remedy: str) -> None:
    """Raise unless data fit a model's event and conditions."""
    reason = model.event.accepts(info["x"]) if model.event_field == "x" else None
    if reason:
        raise ConfigError(
            f"{title} models {model.event.describe()}; {whose} are {info['x'].describe()}, and "
            f"do not fit: {reason}. {remedy}."
        )
    wanted = {"x", model.event_field, *model.conditions}
    model.check_data(info.only(tuple(name for name in info.fields if name in wanted)))


def _models_of(model: Model, codes: Space) -> str:
    """Return a remedy that names the submodules that can model such codes."""
    fits = [
        name
        for name, part in model.named_modules()
        if name and isinstance(part, Model) and part.event.accepts(codes) is None
    ]
    return f"Give for the stage's model {_one_of(fits)}"


def _one_of(names: Sequence[str]) -> str:
    return (
        f"one of: {', '.join(names)}" if names else "another one; this model holds none that fits"
    )


def _check_not_trained(stage: Stage, inputs: Sequence[nn.Module], learning: Model) -> None:
    # Otherwise the codes would change while they are learned, and one loss would train two models.
    with only_part(learning, stage.part):
        trained = {id(p) for p in learning.parameters() if p.requires_grad}
    for name, encoder in zip(stage.inputs, inputs, strict=True):
        if any(id(p) in trained for p in encoder.parameters()):
            raise ConfigError(
                f"The stage trains {name!r}, which its data pass through. Name as the stage's "
                "part what it is to train besides, or train it in a stage of its own."
            )
