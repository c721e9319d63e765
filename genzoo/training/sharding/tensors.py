"""Tensors of which each process holds a part: a DTensor, divided by its first dimension.

PyTorch's module is imported when the first tensor is sharded: the import takes a second.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

_meshes: dict[str, Any] = {}


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds a part of a tensor only."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def part_of(tensor: Tensor) -> Tensor:
    """Return the part that this process holds, with the same memory; a whole tensor unchanged."""
    if not is_sharded(tensor):
        return tensor
    sharded: Any = tensor
    part: Tensor = sharded.to_local().detach()
    return part


def gathered(tensor: Tensor) -> Tensor:
    """Return the whole of a tensor; every process must call it."""
    if not is_sharded(tensor):
        return tensor
    sharded: Any = tensor
    part, length, num = part_of(tensor), tensor.shape[0], dist.get_world_size()
    # Messages go through the accelerator, also if the parts are kept in the CPU's memory.
    device = sharded.device_mesh.device_type
    equal = part.new_zeros((-(-length // num), *part.shape[1:]), device=device)
    equal[: len(part)] = part
    whole = equal.new_empty((num * len(equal), *part.shape[1:]))
    dist.all_gather(list(whole.chunk(num)), equal)
    # A copy of the rows that count, so that the others do not stay in memory.
    whole = whole if len(whole) == length else whole[:length].clone()
    return whole.to(part.device)


def divided_like(whole: Tensor, model: Tensor) -> Tensor:
    """Return this process's part of a whole tensor as a DTensor, without a message.

    Arguments:
        whole: The whole tensor, equal on all processes.
        model: A tensor of the same shape, whose division is taken; ``whole`` if it has none.
    """
    if not is_sharded(model) or is_sharded(whole):
        return whole
    from torch.distributed.tensor import DTensor

    sharded: Any = model
    parts, rank = whole.chunk(dist.get_world_size()), dist.get_rank()
    # There are fewer parts than processes where there are fewer rows.
    part = parts[rank] if rank < len(parts) else whole[:0]
    return DTensor.from_local(
        # A copy, so that the rest does not stay in memory.
        part.to(part_of(model).device, copy=True),
        sharded.device_mesh,
        sharded.placements,
        run_check=False,
        shape=whole.shape,
        stride=whole.contiguous().stride(),
    )


def put_into(target: Tensor, whole: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded."""
    with torch.no_grad():
        part_of(target).copy_(part_of(divided_like(whole, target)))


def load_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state of whole tensors strictly into a module, of which networks may be sharded.

    Arguments:
        module: The module.
        state: Its state; a mapping that reads each tensor when it is asked for needs the memory of
            one.
    """
    own = module.state_dict()
    if not any(map(is_sharded, own.values())):
        module.load_state_dict(dict(state), strict=True)
        return
    parts = {name: divided_like(state[name], own.get(name, state[name])) for name in state}
    module.load_state_dict(parts, strict=True)


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """Return the norm of all values of tensors, of which some may be sharded."""
    parts: dict[bool, list[Tensor]] = {True: [], False: []}
    for tensor in tensors:
        parts[is_sharded(tensor)].append(part_of(tensor))
    squares = _squares(parts[True])
    dist.all_reduce(squares)  # Each process has the sum of its parts.
    return (squares + _squares(parts[False]).to(squares.device)).sqrt()


def _squares(tensors: Sequence[Tensor]) -> Tensor:
    """Return the sum of the squares of all values."""
    if not tensors:
        return torch.zeros(())
    return torch.stack(torch._foreach_norm(list(tensors))).float().square().sum()


def mesh_of(kind: str) -> Any:
    """Return all processes as a mesh, for devices of a kind such as "cuda"."""
    from torch.distributed.device_mesh import init_device_mesh

    if kind not in _meshes:
        _meshes[kind] = init_device_mesh(kind, (dist.get_world_size(),))
    return _meshes[kind]


def forget_meshes() -> None:
    """Let go of the group of processes, which PyTorch's caches of sharded tensors would keep."""
    if _meshes:
        gc.collect()  # Sharded networks are parts of circles.
    for mesh in _meshes.values():
        # The caches hold the mesh, and it holds the group, whose threads would stay.
        getattr(mesh, "_pg_registry", {}).clear()
    _meshes.clear()
