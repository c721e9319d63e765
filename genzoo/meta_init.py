"""Models built on the meta device and filled with weights."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from genzoo.config import Config
from genzoo.errors import ConfigFileError, LoadError, MissingDependencyError
from genzoo.foreign_fields import in_one_line
from genzoo.model import Model

MAX_MODULES = 20_000
MAX_BUFFERS = 2**25
"""Bytes of buffers (masks, schedules) that a model may have besides the size of its weights."""


def build_empty(cls: type[Model], config: Config, *, max_tensors: int) -> Model:
    """Build a model on the meta device, and stop as soon as it has too many parameters.

    Random numbers that its parts draw on the CPU do not change the default generator.

    Raises:
        ConfigFileError: It has more parameters than ``max_tensors`` or too many modules, or it
            cannot be built.
    """
    with without_memory(max_tensors):
        return _made(cls, config)


def _made(cls: type[Model], config: Config) -> Model:
    """Return a new model; any error of its constructor is a refusal.

    Raises:
        ConfigFileError: It cannot be built.
    """
    try:
        return cls(config)
    except (LoadError, MissingDependencyError):
        raise
    except Exception as error:
        raise ConfigFileError(
            f"No {cls.__name__} can be built from its config: {in_one_line(error)}. The config is "
            "damaged, or was written for another version of the plugin."
        ) from error


@contextlib.contextmanager
def without_memory(max_tensors: int) -> Iterator[None]:
    """Build modules on the meta device inside, within limits.

    Arguments:
        max_tensors: The number of tensors in the weights.

    Raises:
        ConfigFileError: Too many parameters for these tensors, or too many modules, are created.
    """
    alone = torch.random.fork_rng(devices=[])
    with alone, _capped(max_tensors), torch.device("meta"), _NoInit():
        yield


def check_memory(model: Model, num_bytes: int) -> None:
    """Refuse a model that needs more memory than there is, or much more than its weights.

    Arguments:
        model: A model on the meta device.
        num_bytes: The size of its weights.

    Raises:
        ConfigFileError: It does.
    """
    stored = model.state_dict().keys()
    buffers = sum(b.nbytes for name, b in model.named_buffers() if name not in stored)
    if buffers > MAX_BUFFERS + num_bytes:
        raise ConfigFileError(
            f"The config asks for {buffers:,} bytes besides its weights, of {num_bytes:,}. "
            "Config and weights do not belong to one model."
        )
    total = psutil.virtual_memory().total
    if buffers + num_bytes > total:
        raise ConfigFileError(
            f"The model needs {buffers + num_bytes:,} bytes; this machine has {total:,}. Load it "
            "on a larger one."
        )


def materialize(
    model: Model,
    cls: type[Model],
    config: Config,
    state: dict[str, Tensor],
    tied: Mapping[str, str],
) -> None:
    """Assign ``state`` to a model on the meta device, and compute what is not stored."""
    full = {**state, **{name: state[canonical] for name, canonical in tied.items()}}
    model.load_state_dict(full, strict=True, assign=True)
    for name, canonical in tied.items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, model.get_parameter(canonical))
    if any(buffer.is_meta for buffer in model.buffers()):
        _rebuild_buffers(model, cls, config)


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return the second names of shared parameters, each with the first name."""
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        if canonical != name:
            tied[name] = canonical
    return tied


def _rebuild_buffers(model: Model, cls: type[Model], config: Config) -> None:
    """Compute the buffers that are not stored (masks, schedules) by building the model on the CPU.

    Its parameters stay uninitialised, so little of their memory is touched.
    """
    with torch.random.fork_rng(devices=[]), _NoInit():
        donor = _made(cls, config)
    for name, buffer in donor.named_buffers(remove_duplicate=False):
        if model.get_buffer(name).is_meta:
            owner, _, attribute = name.rpartition(".")
            dtype = model.get_buffer(name).dtype
            setattr(model.get_submodule(owner), attribute, buffer.to(dtype))


class _NoInit(TorchFunctionMode):
    """Inside, drawing or copying into a parameter or a meta tensor does nothing.

    On the meta device such a draw would change nothing but make torch import its compiler, which
    takes longer than reading a gigabyte.
    """

    NAMES = frozenset({"uniform_", "normal_", "trunc_normal_", "fill_", "zero_", "copy_", "mul_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        target = args[0] if name in self.NAMES and args else None
        if isinstance(target, nn.Parameter) or (isinstance(target, Tensor) and target.is_meta):
            return target
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def _capped(max_parameters: int) -> Iterator[None]:
    """Count what this thread registers, and stop at the limits."""
    thread, counts = threading.get_ident(), {"parameters": 0, "modules": 0}

    def count(what: str, cap: int) -> Any:
        def hook(owner: nn.Module, name: str, value: Any) -> None:
            if threading.get_ident() != thread or value is None:
                return
            counts[what] += 1
            if counts[what] > cap:
                raise ConfigFileError(
                    f"The config asks for more than {cap} {what}; the weights hold "
                    f"{max_parameters} tensors. Config and weights do not belong to one model."
                )

        return hook

    parameter = hooks.register_module_parameter_registration_hook(
        count("parameters", max(2 * max_parameters, 64))
    )
    module = hooks.register_module_module_registration_hook(count("modules", MAX_MODULES))
    try:
        yield
    finally:
        parameter.remove()
        module.remove()
