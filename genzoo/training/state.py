"""Everything the next step depends on, as tensors and plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from genzoo.errors import CheckpointError
from genzoo.model import Model
from genzoo.objective import Objective
from genzoo.training.best import Best
from genzoo.training.ema import Average
from genzoo.training.players import Player
from genzoo.training.power_averages import PowerAverages
from genzoo.training.sharding.networks import Sharding
from genzoo.training.sharding.tensors import divided_like, load_state, part_of

_STATE = re.compile(r"/state/(\d+)/")
_SLOT = re.compile(r"_(\d+)$")


@dataclass(frozen=True)
class StageState:
    """The parts of a stage that is under way.

    All randomness is seeded by (seed, index, slot, move), and the position in the data is the
    step's number, so neither needs to be saved. The model is the whole one, also where the
    objective is for one that it holds.
    """

    model: Model
    objective: Objective
    players: Mapping[str, Player]
    average: Average | None
    best: Best
    accelerator: Accelerator
    power_averages: PowerAverages | None = None
    sharding: Sharding = field(default_factory=Sharding)

    def shown_model(self) -> Model:
        """Return the model that is evaluated and published: with averaged weights, if any."""
        return self.model if self.average is None else self.average.model

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors of every file of a checkpoint; every process must call it."""
        found = {
            # All of it, also where a stage trains a part: the stages before it trained the rest.
            "model": dict(self.model.state_dict()),
            "objective": self.objective.own_state(),
        }
        if self.average is not None:
            found["average"] = self.average.state()
        if self.power_averages is not None:
            found |= self.power_averages.state()
        found["best"] = self.best.weights
        for name, player in self.players.items():
            found[f"optimizer-{name}"], _ = flatten(player.solver_state())
        for rank, state in enumerate(self._process_states()):
            found[f"process-{rank}"] = state
        return {name: tensors for name, tensors in found.items() if tensors}

    def values(self) -> dict[str, Any]:
        """Return everything that is not a tensor."""
        scaler = self.accelerator.scaler
        return {
            "num_processes": self.accelerator.num_processes,
            "best": self.best.values(),
            "process_buffers": bool(self.objective.process_state()),
            "optimizers": {n: flatten(p.solver_state())[1] for n, p in self.players.items()},
            "schedules": {n: flatten(p.schedule.state_dict())[1] for n, p in self.players.items()},
            "factories": {name: player.made for name, player in self.players.items()},
            "scaler": None if scaler is None else flatten(scaler.state_dict())[1],
        }

    def load(self, tensors: Mapping[str, Mapping[str, Tensor]], values: Mapping[str, Any]) -> None:
        """Put back what ``tensors`` and ``values`` gave.

        Raises:
            CheckpointError: Buffers belong to processes whose number has changed.
        """
        load_state(self.model, tensors["model"])
        own = self.objective.own_state()
        saved_own = tensors.get("objective", {})
        self.objective.load_own_state({n: divided_like(t, own[n]) for n, t in saved_own.items()})
        self._load_process_state(tensors, values)
        if self.average is not None:
            self.average.load(tensors["average"])
        if self.power_averages is not None:
            self.power_averages.load(tensors)
        self.best.load(tensors.get("best", {}), values["best"])
        for name, player in self.players.items():
            saved = tensors.get(f"optimizer-{name}", {})
            divided = _Divided(saved, player) if player.is_sharded else saved
            player.load_solver_state(unflatten(values["optimizers"][name], divided))
            _demand_put_back(player, saved, values["optimizers"][name])
            player.schedule.load_state_dict(unflatten(values["schedules"][name], {}))
        if self.accelerator.scaler is not None and values["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(unflatten(values["scaler"], {}))

    def set_total(self) -> None:
        """Follow another number of updates than the checkpoint's from here on."""
        for player in self.players.values():
            player.set_lr()
        self.best.unimproved = 0

    # Chains and pools are saved for each process, and never averaged: the mean of two chains'
    # states is not a state.
    def _process_states(self) -> list[dict[str, Tensor]]:
        own = {name: t.detach().cpu() for name, t in self.objective.process_state().items()}
        if self.accelerator.num_processes == 1:
            return [own]
        gathered: list[dict[str, Tensor]] = gather_object([own])
        return gathered

    def _load_process_state(
        self, tensors: Mapping[str, Mapping[str, Tensor]], values: Mapping[str, Any]
    ) -> None:
        if not values["process_buffers"]:
            return
        now, then = self.accelerator.num_processes, values["num_processes"]
        rank = self.accelerator.process_index
        saved = [tensors.get(f"process-{other}", {}) for other in range(then)]
        own = saved[rank] if now == then else self._by_slot(saved)
        for name, tensor in own.items():
            self.objective.set_process_buffer(name, tensor.to(self.accelerator.device))

    def _by_slot(self, saved: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return the buffers of this process's slots, which another process may have had.

        Raises:
            CheckpointError: A buffer is not named by its slot, such as ``chains_3``.
        """
        now, then = self.accelerator.num_processes, len(saved)
        found: dict[str, Tensor] = {}
        for name, tensor in ((n, t) for buffers in saved for n, t in buffers.items()):
            slot = _SLOT.search(name)
            if slot is None:
                raise CheckpointError(
                    f"The run had {then} processes, each with its own {name}; it cannot be "
                    f"resumed with {now}. Start it with {then} processes."
                )
            # Slot = micro-batch × processes + rank, so this is the process that computes it now.
            if int(slot[1]) % now == self.accelerator.process_index:
                found[name] = tensor
        return found


class _Divided(Mapping[str, Tensor]):
    """The saved tensors of an optimiser, divided among processes like their parameters.

    Arguments:
        saved: The tensors by their path, such as ``/state/3/exp_avg``.
        player: The player.
    """

    def __init__(self, saved: Mapping[str, Tensor], player: Player) -> None:
        groups = player.base.param_groups
        self._saved, self._parameters = saved, [p for g in groups for p in g["params"]]

    def __getitem__(self, path: str) -> Tensor:
        tensor, place = self._saved[path], _STATE.match(path)
        parameter = self._parameters[int(place[1])] if place is not None else tensor
        return divided_like(tensor, parameter) if tensor.shape == parameter.shape else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._saved)

    def __len__(self) -> int:
        return len(self._saved)


def _demand_put_back(player: Player, saved: Mapping[str, Tensor], values: Any) -> None:
    """Raise CheckpointError if an optimiser does not load what it saved, as an own one may not."""
    tensors, rest = flatten(player.solver_state())
    # PyTorch's casts tensors to the dtype of the parameter unless the optimiser knows better.
    same = tensors.keys() == saved.keys() and all(
        tensor.dtype == saved[name].dtype
        and torch.equal(part_of(tensor).cpu(), part_of(divided_like(saved[name], tensor)).cpu())
        for name, tensor in tensors.items()
    )
    if not same or json.dumps(rest) != json.dumps(values):
        raise CheckpointError(
            f"{type(player.base).__name__}, the optimiser of the player {player.name!r}, does not "
            "load the state that it saved, so the run cannot be resumed identically. Its "
            "load_state_dict must put back what state_dict gives."
        )


def flatten(value: Any) -> tuple[dict[str, Tensor], Any]:
    """Split a state dictionary into its tensors, by name, and the JSON that refers to them."""
    tensors: dict[str, Tensor] = {}

    def walk(item: Any, path: str) -> Any:
        if isinstance(item, Tensor):
            tensors[path] = item
            return {"tensor": path}
        if isinstance(item, Mapping):
            return {"items": [[key, walk(v, f"{path}/{key}")] for key, v in item.items()]}
        if isinstance(item, (list, tuple)):
            return [walk(v, f"{path}/{i}") for i, v in enumerate(item)]
        return item

    return tensors, walk(value, "")


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Put together what ``flatten`` split; tensors are copied."""
    if isinstance(value, list):
        return [unflatten(item, tensors) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "tensor" in value:
        return torch.clone(tensors[value["tensor"]])
    return {key: unflatten(item, tensors) for key, item in value["items"]}
