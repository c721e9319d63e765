"""Where an objective reads parameters: inside the calls of which networks.

A sharded network gathers its parameters when it is called, and frees them afterwards. So it can
only be sharded if nobody reads them at other times. One update's losses of a copy show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

# Facts of a tensor, which a sharded one has too.
_FACTS = frozenset({"size", "dim", "numel", "stride", "is_floating_point", "__len__"})
# Attributes that are views of its numbers; the others, such as shape, are facts.
_VIEWS = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})


class Readings(TorchFunctionMode):
    """Records the modules that are called around each use of a parameter.

    Arguments:
        root: The module whose parameters are watched.

    Attributes:
        around: For each parameter that is used, the modules around all of its uses, by id.
        called: The modules that are called.
        changed: The modules whose output is a view that is changed in place: a sharded module
            would not notice its backward pass.
        takes_second_derivatives: Whether a derivative is made that can be differentiated again.
    """

    def __init__(self, root: nn.Module) -> None:
        super().__init__()
        self.around: dict[int, set[int]] = {}
        self.called: set[int] = set()
        self.changed: set[int] = set()
        self.takes_second_derivatives = False
        self._parameters = {id(p) for p in root.parameters()}
        self._stack: list[int] = []
        self._views: dict[int, tuple[Tensor, int]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Record a call of a function of PyTorch, and make it."""
        kwargs = kwargs or {}
        if func is torch.autograd.grad and kwargs.get("create_graph"):
            self.takes_second_derivatives = True
        name = getattr(func, "__name__", "")
        if name.endswith("_") or name.startswith("__i"):
            view, module = self._views.get(id(args[0]) if args else 0, (None, 0))
            if view is not None and args[0] is view:
                self.changed.add(module)
        if name not in _FACTS and not _is_fact(func, name):
            for value in tree_leaves((args, kwargs)):
                if isinstance(value, Tensor) and id(value) in self._parameters:
                    now = set(self._stack)
                    self.around[id(value)] = self.around.get(id(value), now) & now
        return func(*args, **kwargs)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record inside this context."""
        with ExitStack() as stack:
            enter = register_module_forward_pre_hook(self._enter)
            stack.callback(enter.remove)
            leave = register_module_forward_hook(self._leave, always_call=True)
            stack.callback(leave.remove)
            stack.enter_context(self)
            yield

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        self.called.add(id(module))
        self._stack.append(id(module))

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._stack.pop()
        for value in tree_leaves(output):
            if isinstance(value, Tensor) and value._is_view():
                self._views[id(value)] = value, id(module)


def read_while(root: nn.Module, action: Callable[[], object]) -> Readings:
    """Return where the parameters of a module are read while an action runs."""
    readings = Readings(root)
    with readings.watching():
        action()
    return readings


def _is_fact(func: Any, name: str) -> bool:
    """Whether a function gets an attribute that is not a view."""
    attribute = getattr(getattr(func, "__self__", None), "__name__", "")
    return name == "__get__" and attribute not in _VIEWS
