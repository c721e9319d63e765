"""The global state of a process: seeds, flags, threads, patches."""

from __future__ import annotations

import builtins
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules import module as hooks

_WATCHED = ("torch", "torch.nn", "torch.nn.functional", "torch.optim", "numpy", "json")
_CLASSES = (Tensor, torch.nn.Module, torch.optim.Optimizer, torch.Generator)
# The libraries of the training loop set these up at their first use.
_LIBRARIES_THREADS = {"tqdm_monitor"}
_LIBRARIES = ("TORCHINDUCTOR_", "ACCELERATE_", "KMP_")


def world() -> dict[str, Any]:
    """Return the global state of this process by part."""
    return {
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "numpy generator": np.random.get_state(legacy=False)["state"]["key"].tobytes(),
        "random generator": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "running threads": sorted({t.name for t in threading.enumerate()} - _LIBRARIES_THREADS),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "grad mode": torch.is_grad_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn flags": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "module hooks": (len(hooks._global_forward_hooks), len(hooks._global_forward_pre_hooks)),
        "numpy errors": tuple(np.geterr().items()),
        "print options": tuple(sorted(vars(torch._tensor_str.PRINT_OPTS).items())),
        # Those that silence everything; others come and go with libraries.
        "warning filters": [
            repr(f) for f in warnings.filters if (f[0], f[1], f[2]) == ("ignore", None, Warning)
        ],
        "environment": {name: os.environ[name] for name in foreign(os.environ)},
        "working folder": os.getcwd(),
        "import path": list(sys.path),
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "recursion limit": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, sys.displayhook, builtins.print, builtins.open),
        "logging": (logging.root.level, list(logging.root.handlers)),
    }


def attributes() -> dict[str, dict[str, Any]]:
    """Return the attributes of shared libraries by name."""
    return {name: dict(vars(owner)) for name, owner in _owners().items()}


def _owners() -> dict[str, Any]:
    modules = {name: sys.modules[name] for name in _WATCHED if name in sys.modules}
    ours = {name: sys.modules[name] for name in list(sys.modules) if name.startswith("genzoo.")}
    classes = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in _CLASSES}
    return {**modules, **ours, **classes}


def patched(before: dict[str, dict[str, Any]]) -> list[str]:
    """Return the functions and classes that other code has replaced, by dotted name.

    Additions are not counted, nor what a library replaces itself, because libraries load parts at
    first use.
    """
    after = {name: vars(owner) for name, owner in _owners().items()}
    return [
        f"{owner}.{name}"
        for owner, names in before.items()
        if (now := after.get(owner)) is not None
        for name, value in names.items()
        if (found := now.get(name, value)) is not value and _is_strange(found, owner)
    ]


def foreign(variables: Iterable[str]) -> list[str]:
    """Return the environment variables, except those of the training loop's libraries."""
    return [name for name in variables if not name.startswith(_LIBRARIES)]


def _is_strange(value: Any, owner: str) -> bool:
    """Whether a callable comes from outside of its owner's library."""
    if not callable(value):
        return False
    code = getattr(value, "__globals__", {})  # A wrapper has the name of the wrapped function.
    home = str(code.get("__name__") or getattr(value, "__module__", ""))
    return home.partition(".")[0] != owner.partition(".")[0]


def changed(before: dict[str, Any]) -> list[str]:
    """Return the names of the parts that have changed."""
    after = world()
    # The end of an earlier thread is not a side effect.
    after["running threads"] = sorted({*before["running threads"], *after["running threads"]})
    return [name for name, value in before.items() if value != after[name]]
