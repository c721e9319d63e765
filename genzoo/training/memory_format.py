"""Weights of convolutions in the channels-last memory format."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.training.config import TrainerConfig
from genzoo.training.state import StageState

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d)


def set_memory_format(state: StageState, config: TrainerConfig) -> None:
    """Lay out the weights of two-dimensional convolutions channels last, if the config says so.

    Their averages and their states in the optimisers follow. Inputs keep their layout until the
    first convolution, so draws in their shape are the same as before. A model without such
    convolutions is unchanged, and files have the default layout in any case.

    Arguments:
        state: The stage, after a checkpoint was loaded into it.
        config: The stage's training values.
    """
    if not config.channels_last:
        return
    weights = _to_channels_last(state.objective)
    if state.average is not None:
        _to_channels_last(state.average.model)
    if state.power_averages is not None:
        named = state.power_averages.parameters
        for average in state.power_averages.averages:
            _convert(average, [name for name, p in named.items() if id(p) in weights])
    for player in state.players.values():
        for parameter, own in player.base.state.items():
            # A fused optimiser needs the layout of the weight.
            if id(parameter) in weights:
                _convert(own, [n for n, t in own.items() if _shape(t) == parameter.shape])


def _to_channels_last(module: nn.Module) -> set[int]:
    """Lay out the weights of a module's convolutions, and return their identities."""
    layers = (layer for layer in module.modules() if isinstance(layer, _LAYERS))
    # With a parametrisation, such as spectral normalisation, the weight is further inside.
    weights = [p for layer in layers for p in layer.parameters() if p.ndim == 4]
    for weight in weights:
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return {id(weight) for weight in weights}


def _convert(tensors: MutableMapping[Any, Any], names: list[Any]) -> None:
    for name in names:
        tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)


def _shape(value: Any) -> torch.Size | None:
    return value.shape if isinstance(value, Tensor) else None
