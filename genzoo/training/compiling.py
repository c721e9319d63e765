"""Child networks compiled in place, whole or by region, so that the names of weights stay."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from genzoo.objective import Objective
from genzoo.training.config import TrainerConfig

_MOST_SHAPES = 64


def compile_networks(objective: Objective, config: TrainerConfig) -> None:
    """Compile the child networks of a model and its objective in place, if the config says so.

    `losses` is never compiled, because a generator that draws and branches is not one graph.

    Arguments:
        objective: The objective, with its model.
        config: The stage's training values.
    """
    if not (config.compile or config.compile_regions):
        return
    for network in networks(objective):
        found = list(regions(network)) if config.compile_regions else []
        for module in found:
            module.compile(**_for_regions())
        if not found:
            network.compile()


def networks(objective: Objective) -> Iterator[nn.Module]:
    """Yield the child networks of an objective's model and of the objective."""
    for name, child in [*objective.model.named_children(), *objective.named_children()]:
        if name != "model":
            yield child


def regions(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the blocks of a network that repeat, the outermost ones.

    A block is a module with child modules in a `ModuleList` or a `Sequential`. Blocks of the same
    class and the same shapes share their compiled code. A block of shapes of its own is yielded
    too, if its class repeats elsewhere and nothing repeats within it.
    """
    blocks = [block for module in network.modules() for block in _blocks_in(module)]
    kinds = Counter(_kind(block) for block in blocks)
    classes = {type(block) for block in blocks if kinds[_kind(block)] > 1}

    def repeats(block: nn.Module) -> bool:
        return kinds[_kind(block)] > 1

    def within(module: nn.Module) -> Iterator[nn.Module]:
        own = set(_blocks_in(module))
        for child in module.children():
            inner = (b for m in child.modules() for b in _blocks_in(m))
            alike = child in own and type(child) in classes
            if alike and (repeats(child) or not any(map(repeats, inner))):
                yield child
            else:
                yield from within(child)

    yield from within(network)


def _blocks_in(module: nn.Module) -> list[nn.Module]:
    if not isinstance(module, (nn.ModuleList, nn.Sequential)):
        return []
    # A single layer is one kernel already.
    return [child for child in module if next(child.children(), None) is not None]


def _kind(block: nn.Module) -> tuple[Any, ...]:
    """Return what equal blocks have in common: their class, and the shapes of their tensors."""
    tensors = [*block.named_parameters(), *block.named_buffers()]
    return type(block), tuple((name, tensor.shape, tensor.dtype) for name, tensor in tensors)


def _for_regions() -> dict[str, Any]:
    """Return the arguments of `torch.compile` for blocks of one class and several shapes."""
    # Blocks of one class share PyTorch's cache, which by default gives up at eight shapes.
    known = inspect.signature(torch.compile).parameters
    return {"recompile_limit": _MOST_SHAPES} if "recompile_limit" in known else {}
