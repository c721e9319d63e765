"""Models built without memory, and filled with what was read."""

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
"""Bytes of masks, schedules and the like that a model may have beyond the size of its weights."""


def build_empty(cls: type[Model], config: Config, *, max_tensors: int) -> Model:
    """Build a model on the meta device, giving up as soon as it has more parameters than allowed.

    What its parts draw on the CPU all the same is drawn from nobody's generator.

    Raises:
        ConfigFileError: It has more parameters than ``max_tensors``, or too many modules, or
            the config asks for what cannot be built.
    """
    with without_memory(max_tensors):
        return _made(cls, config)


def _made(cls: type[Model], config: Config) -> Model:
    """Return a new model, whatever its constructor, or a library's layer in it, raises.

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
    """Build on the meta device what is built within, and no more than the caps allow.

    Arguments:
        max_tensors: How many tensors the weights hold.

    Raises:
        ConfigFileError: More parameters than go with them, or too many modules, are made.
    """
    alone = torch.random.fork_rng(devices=[])
    with alone, _capped(max_tensors), torch.device("meta"), _NoInit():
        yield


def check_memory(model: Model, num_bytes: int) -> None:
    """Refuse a model that asks for more memory than there is, or much more than its weights.

    Arguments:
        model: On the meta device.
        num_bytes: What its weights hold.

    Raises:
        ConfigFileError: It does.
    """
    stored = model.state_dict().keys()
    buffers = sum(b.nbytes for name, b in model.named_buffers() if name not in stored)
    if buffers > MAX_BUFFERS + num_bytes:
        raise ConfigFileError(
            f"The config asks for {buffers:,} bytes beside its weights, which hold {num_bytes:,}. "
            "Config and weights are not of one model."
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
    """Assign ``state`` to a model on the meta device, and rebuild what is not stored."""
    full = {**state, **{name: state[canonical] for name, canonical in tied.items()}}
    model.load_state_dict(full, strict=True, assign=True)
    for name, canonical in tied.items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, model.get_parameter(canonical))
    if any(buffer.is_meta for buffer in model.buffers()):
        _rebuild_buffers(model, cls, config)


def tied_names(model: nn.Module) -> dict[str, str]:
    """Return the parameters that are another one under a second name, with its first name."""
    first: dict[int, str] = {}
    tied = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        canonical = first.setdefault(id(parameter), name)
        if canonical != name:
            tied[name] = canonical
    return tied


def _rebuild_buffers(model: Model, cls: type[Model], config: Config) -> None:
    """Take the buffers that are not stored (masks, schedules) from a model built for real.

    Its parameters are left as the allocator gives them, so that little of their memory is ever
    touched.
    """
    with torch.random.fork_rng(devices=[]), _NoInit():
        donor = _made(cls, config)
    for name, buffer in donor.named_buffers(remove_duplicate=False):
        if model.get_buffer(name).is_meta:
            owner, _, attribute = name.rpartition(".")
            dtype = model.get_buffer(name).dtype
            setattr(model.get_submodule(owner), attribute, buffer.to(dtype))


class _NoInit(TorchFunctionMode):
    """Within it, drawing or copying into a parameter, or into what has no memory, does nothing.

    On the meta device such a draw would change nothing, but have torch import its compiler, which
    takes longer than reading a gigabyte.
    """

    NAMES = frozenset({"uniform_", "normal_", "trunc_normal_", "fill_", "zero_", "copy_", "mul_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in self.NAMES and args and _needs_no_values(args[0]):
            return args[0]
        return func(*args, **(kwargs or {}))


def _needs_no_values(value: object) -> bool:
    return isinstance(value, nn.Parameter) or (isinstance(value, Tensor) and value.is_meta)


@contextlib.contextmanager
def _capped(max_parameters: int) -> Iterator[None]:
    """Count what this thread registers, and stop at the caps."""
    thread, counts = threading.get_ident(), {"parameters": 0, "modules": 0}

    def count(what: str, cap: int) -> Any:
        def hook(owner: nn.Module, name: str, value: Any) -> None:
            if threading.get_ident() != thread or value is None:
                return
            counts[what] += 1
            if counts[what] > cap:
                raise ConfigFileError(
                    f"The config asks for more than {cap} {what}; the weights hold "
                    f"{max_parameters} tensors. Config and weights are not of one model."
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
