"""The choice of what is sharded: networks above a size, gathered in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from genzoo.model import Model
from genzoo.objective import Objective
from genzoo.training.sharding.reading import Readings

AUTO = 100_000_000
"""The number of parameters from which "auto" shards a network."""
_BLOCK = 2**20
"""Blocks of fewer parameters are gathered with what is around them: a message has a fixed cost."""


@dataclass
class Choice:
    """The modules that are sharded.

    Arguments:
        networks: For each network that is sharded, by its name in the objective, the names of the
            blocks that are gathered one after the other, inner ones first, itself last.
        refused: For each network above the size that is not sharded, why.
    """

    networks: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def choose(objective: Objective, readings: Readings, least: int) -> Choice:
    """Return what is sharded of the objective that was watched.

    Arguments:
        objective: The objective.
        readings: Where its parameters are read.
        least: The smallest number of parameters of a network that is sharded.
    """
    choice = Choice()
    chooser = _Chooser(objective, readings, min(least, _BLOCK))
    for name, network in _networks(objective):
        chooser.visit(name, network, least, choice)
    return choice


def networks_of(objective: Objective) -> dict[str, nn.Module]:
    """Return the child networks of the objective and its models by name."""
    return dict(_networks(objective))


def count(module: nn.Module) -> int:
    """Return the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def _networks(parent: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the child networks; a model is not one, because it is called by many methods."""
    for name, child in parent.named_children():
        if isinstance(child, (Model, Objective)):
            yield from _networks(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


class _Chooser:
    def __init__(self, objective: nn.Module, readings: Readings, block: int) -> None:
        self.readings, self.block = readings, block
        self.owners: dict[int, list[int]] = {}
        for module in objective.modules():
            for parameter in module.parameters(recurse=False):
                self.owners.setdefault(id(parameter), []).append(id(module))

    def visit(self, name: str, module: nn.Module, least: int, choice: Choice) -> None:
        """Choose a network, or else what is inside it."""
        if count(module) < least:
            return
        why = self.obstacle(module)
        if why is None:
            blocks: list[str] = []
            self.divide(name, module, blocks)
            choice.networks[name] = [*blocks, name]
            return
        before = len(choice.networks) + len(choice.refused)
        for child_name, child in module.named_children():
            self.visit(f"{name}.{child_name}", child, least, choice)
        if len(choice.networks) + len(choice.refused) == before:
            choice.refused[name] = why

    def divide(self, name: str, module: nn.Module, blocks: list[str]) -> int:
        """Add the blocks inside a module, and return the number of parameters that are left."""
        left = sum(p.numel() for p in module.parameters(recurse=False))
        for child_name, child in module.named_children():
            path = f"{name}.{child_name}"
            rest = self.divide(path, child, blocks)
            if rest >= self.block and self.obstacle(child) is None:
                blocks.append(path)
                rest = 0
            left += rest
        return left

    def obstacle(self, module: nn.Module) -> str | None:
        """Return why a module cannot be sharded, or None."""
        if id(module) in self.readings.changed:
            return "its output is a view that is changed in place"
        own = {id(part) for part in module.modules()}
        for name, parameter in module.named_parameters():
            around = self.readings.around.get(id(parameter))
            if around is not None and id(module) not in around:
                return f"{name} is read outside of its calls"
            if not own.issuperset(self.owners[id(parameter)]):
                return f"{name} is shared with another module"
        return None if id(module) in self.readings.called else "it is not called"
