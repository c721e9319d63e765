"""The environment of a run: versions, machine and device, as plain text."""

from __future__ import annotations

import functools
import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from genzoo.version import __version__

if TYPE_CHECKING:
    from accelerate import Accelerator


def describe(accelerator: Accelerator, threads: int | None) -> dict[str, str]:
    """Return what a run's speed and last digits depend on, without host names and paths."""
    device = accelerator.device
    return {
        **machine("torch", "accelerate", "safetensors", "numpy"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": str(accelerator.num_processes),
        "threads": str(threads or torch.get_num_threads()),
    }


def machine(*packages: str) -> dict[str, str]:
    """Return the machine, and the versions of genzoo, Python and some packages."""
    return {
        "genzoo": __version__,
        "Python": platform.python_version(),
        **{name: _version(name) for name in packages},
        "system": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
    }


@functools.cache
def _version(package: str) -> str:
    """Return a package's version; finding its metadata takes longer than a training step."""
    return metadata.version(package)
