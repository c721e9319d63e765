"""Counts the operations for which a program would wait for a device, while it runs on a CPU."""

import inspect
import linecache
import sys
from contextlib import ExitStack
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# What needs a number from the device to go on: a value, or the shape of the result.
_WAITING = {
    "_local_scalar_dense",
    "equal",
    "is_nonzero",
    "masked_select",
    "nonzero",
    "_unique2",
    "unique_consecutive",
    "unique_dim",
    "bincount",
}
_FOR_A_CPU = 'device.type != "cpu"'
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
# What copies numbers of Python or numpy to the device, which waits for all earlier operations.
_COPYING = {torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor}
_TO_PYTHON = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu}


class HostReads:
    """A context in which operations that wait for the device are noted.

    Boolean indices count, and arrays of numpy and numbers of Python that become tensors.

    Attributes:
        found: For each, its name and the line of our code that asked for it.
    """

    def __init__(self):
        self.found = []

    def note(self, name):
        frame = _caller()
        # What looks at the device first is for a CPU, which nothing waits for.
        if _FOR_A_CPU not in inspect.getsource(frame.f_code):
            path, line = frame.f_code.co_filename, frame.f_lineno
            text = linecache.getline(path, line).strip()
            self.found.append(f"{name}: {Path(path).name}, line {line}: {text}")

    def __enter__(self):
        self._stack = ExitStack()
        self._stack.enter_context(_Functions(self))
        self._stack.enter_context(_Operations(self))
        return self

    def __exit__(self, *_):
        self._stack.close()


class _Functions(TorchFunctionMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.nn.functional.one_hot and _num_classes(args, kwargs or {}) >= 0:
            # On a CPU it looks at the values, on a GPU it does not.
            with torch.utils._python_dispatch._disable_current_modes():
                return function(*args, **(kwargs or {}))
        copied = args[1] if function is torch.Tensor.new_tensor else args[0] if args else None
        if function in _COPYING and not isinstance(copied, torch.Tensor):
            self.reads.note(f"copy by {function.__name__}")
        elif function in _TO_PYTHON:
            self.reads.note(function.__name__)
        return function(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.rpartition("::")[2]
        # Schedules are in float64 on the CPU, whatever the device.
        on_cpu = name == "_local_scalar_dense" and args[0].dtype == torch.float64
        if (name in _WAITING and not on_cpu) or (name in _INDEXING and _has_mask(args[1])):
            self.reads.note(name)
        return function(*args, **(kwargs or {}))


def _num_classes(args, kwargs):
    return args[1] if len(args) > 1 else kwargs.get("num_classes", -1)


def _has_mask(indices):
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)


def _caller():
    """Return the innermost frame that is not PyTorch's or this file's."""
    frame = sys._getframe(1)
    while frame.f_back and ("/torch/" in frame.f_code.co_filename or _is_own(frame)):
        frame = frame.f_back
    return frame


def _is_own(frame):
    return frame.f_code.co_filename == __file__
