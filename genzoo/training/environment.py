"""The environment of a run: versions, machine and device, as plain text."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch
from accelerate import Accelerator

from genzoo.version import __version__

_PACKAGES = ("torch", "accelerate", "safetensors", "numpy")


def describe(accelerator: Accelerator, threads: int | None) -> dict[str, str]:
    """Return what a run's speed and last digits depend on, without host names and paths."""
    return {
        "genzoo": __version__,
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": _device(accelerator.device),
        "processes": str(accelerator.num_processes),
        "threads": str(threads or torch.get_num_threads()),
    }


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
