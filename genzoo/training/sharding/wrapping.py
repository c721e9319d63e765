"""A network whose parameters are divided among processes, and how it becomes whole again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.distributed._composable_state import _module_state_mapping
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)

from genzoo.training.sharding.tensors import gathered

# The attributes of a module that say how it is called.
_CALLED = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


@dataclass(frozen=True)
class Way:
    """How networks are sharded.

    Arguments:
        mesh: The processes.
        mixed_precision: The precision of training: "no" or "bf16".
        cpu_offload: Whether the parts lie in the memory of the CPU.
        keeps: Whether parameters stay gathered until the end of a backward pass, because it is
            differentiated again.
    """

    mesh: DeviceMesh
    mixed_precision: str = "no"
    cpu_offload: bool = False
    keeps: bool = False


class ShardedNetwork:
    """A network that is sharded in place, in blocks.

    Its own `torch.nn.Parameter` objects are kept without their numbers, and return when the
    network becomes whole.

    Arguments:
        network: The network.
        blocks: Its blocks, inner ones first, the network last.
        way: How it is sharded.
    """

    def __init__(self, network: nn.Module, blocks: Sequence[nn.Module], way: Way) -> None:
        self.network, self.blocks = network, list(blocks)
        self.places = [
            (module, name, parameter)
            for module in network.modules()
            for name, parameter in module._parameters.items()
            if parameter is not None
        ]
        before = [_Form(module) for module in network.modules()]
        scalars = {parameter for parameter in network.parameters() if parameter.ndim == 0}
        for block in self.blocks:
            _shard(block, scalars, way)
        self.before = before
        self.sharded = {
            id(parameter): sharded
            for module, name, parameter in self.places
            if (sharded := module._parameters[name]) is not parameter and sharded is not None
        }
        for _, _, parameter in self.places:
            if id(parameter) in self.sharded:
                parameter.data = parameter.data.new_empty(0)

    def reshard(self) -> None:
        """Free what is gathered: of a network that was called without a backward pass."""
        for block in self.blocks:
            if isinstance(block, FSDPModule):
                block.reshard()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Hold the whole network on every process inside; every process must enter."""
        # Some hooks come with the first call, so how the modules are called is noted here.
        now = [_Form(form.module) for form in self.before]
        added = [form.remove_added() for form in self.before]
        self._become_whole()
        try:
            yield
        finally:
            for module, name, parameter in self.places:
                if id(parameter) in self.sharded:
                    module._parameters[name] = self.sharded[id(parameter)]
                    parameter.data = parameter.data.new_empty(0)
            for form, attributes in zip(now, added, strict=True):
                vars(form.module).update(attributes)
                form.restore()

    def undo(self) -> None:
        """Make the network whole for good; every process must call it."""
        self._become_whole()
        for form in self.before:
            form.remove_added()
            # Without this, it cannot be sharded again, by a later stage.
            _module_state_mapping.pop(form.module, None)
        self.sharded = {}

    def _become_whole(self) -> None:
        self.reshard()
        for module, name, parameter in self.places:
            sharded = self.sharded.get(id(parameter))
            if sharded is None:
                continue
            if parameter.shape != sharded.shape:  # It may be in several places.
                parameter.data = gathered(sharded.detach())
            module._parameters[name] = parameter
        for form in self.before:
            form.restore()


class _Form:
    """The class of a module, and how it is called."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.cls = module, type(module)
        self.attributes = set(vars(module))
        self.called = {name: vars(module)[name].copy() for name in _CALLED}

    def restore(self) -> None:
        """Give the module this class, and these hooks, again."""
        self.module.__class__ = self.cls
        for name, hooks in self.called.items():
            own = vars(self.module)[name]
            own.clear()
            own.update(hooks)

    def remove_added(self) -> dict[str, Any]:
        """Remove, and return, the attributes that sharding has added: they cannot be copied."""
        added = set(vars(self.module)) - self.attributes
        return {name: vars(self.module).pop(name) for name in added}


def _shard(block: nn.Module, scalars: set[nn.Parameter], way: Way) -> None:
    policy = MixedPrecisionPolicy()
    if way.mixed_precision == "bf16":
        # Inputs stay as they are: autocast chooses the precision of each operation.
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    offload = CPUOffloadPolicy() if way.cpu_offload else OffloadPolicy()
    sharded: Any = fully_shard(
        block,
        mesh=way.mesh,
        mp_policy=policy,
        offload_policy=offload,
        ignored_params=scalars,  # It cannot divide a number.
    )
    if way.keeps:
        sharded.set_reshard_after_backward(False, recurse=False)
